package simulator_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfew-dev/curfew/pkg/simulator"
)

// listener takes webhooks and checks their signatures.
type listener struct {
	mu     sync.Mutex
	events []string // event and action
	guids  []string
}

const webhookSecret = "a secret of two"

// listen makes GitHub tell a listener of everything.
func (s *stage) listen() *listener {
	l := &listener{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			s.t.Error(err)
		}
		mac := hmac.New(sha256.New, []byte(webhookSecret))
		_, _ = mac.Write(body)
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); r.Header.Get("X-Hub-Signature-256") != want {
			s.t.Errorf("the signature is %s, want %s", r.Header.Get("X-Hub-Signature-256"), want)
		}
		var payload struct{ Action string }
		if err := json.Unmarshal(body, &payload); err != nil {
			s.t.Error(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.events = append(l.events, strings.TrimSpace(r.Header.Get("X-GitHub-Event")+" "+payload.Action))
		l.guids = append(l.guids, r.Header.Get("X-GitHub-Delivery"))
		w.WriteHeader(http.StatusAccepted)
	}))
	s.t.Cleanup(server.Close)
	s.SetWebhook(server.URL, webhookSecret)
	return l
}

func TestWhatWebhooksTell(t *testing.T) {
	s := newStage(t)
	l := s.listen()
	first, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	second, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web", RunID: first.RunID})
	s.must(err)
	_, err = s.StartJob(simulator.Job{Owner: "acme", Repo: "web", RunID: first.RunID, RunAttempt: 2})
	s.must(err)
	s.must(s.FinishJob(first.ID, "success"))
	s.must(s.FinishJob(second.ID, "failure"))
	_, err = s.PutFile("acme", "web", "f", nil)
	s.must(err)
	s.must(s.RenameRepository("acme", "web", "site"))
	s.must(s.Suspend(s.installation.ID, true))
	s.must(s.Suspend(s.installation.ID, false))
	s.must(s.Uninstall(s.installation.ID))
	_, err = s.PutFile("acme", "api", "f", nil) // nobody is told: no App is installed
	s.must(err)
	want := []string{
		"workflow_job in_progress", "workflow_job in_progress", "workflow_job in_progress",
		"workflow_job completed", "workflow_job completed", "workflow_run completed",
		"push", "repository renamed", "installation suspend", "installation unsuspend", "installation deleted",
	}
	if diff := cmp.Diff(want, l.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if d := s.Deliveries(); len(d) != len(want) || d[0].Status != http.StatusAccepted {
		t.Errorf("%d deliveries are recorded, the first as %+v", len(d), d[0])
	}
}

func TestACompletedJobNamesItself(t *testing.T) {
	s := newStage(t)
	s.listen()
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web", RunAttempt: 3})
	s.must(err)
	s.must(s.FinishJob(job.ID, "cancelled"))
	var told struct {
		Repository struct{ ID int64 }
		Job        struct {
			ID         int64
			RunID      int64 `json:"run_id"`
			RunAttempt int64 `json:"run_attempt"`
			Status     string
			Conclusion string
			CheckRun   string `json:"check_run_url"`
			Completed  string `json:"completed_at"`
		} `json:"workflow_job"`
	}
	if err := json.Unmarshal(s.Deliveries()[1].Payload, &told); err != nil {
		t.Fatal(err)
	}
	j := told.Job
	if told.Repository.ID != 2001 || j.ID != job.ID || j.RunID != job.RunID || j.RunAttempt != 3 || j.Status != "completed" ||
		j.Conclusion != "cancelled" || !strings.HasSuffix(j.CheckRun, "/check-runs/30001") || j.Completed != "2026-11-01T12:00:00Z" {
		t.Errorf("got %+v", told)
	}
	for _, conclusion := range []string{"success", "cancelled"} {
		if s.FinishJob(job.ID, conclusion) == nil {
			t.Error("a job can be finished twice")
		}
	}
}

func TestALostDeliveryIsNotRepeated(t *testing.T) {
	s := newStage(t)
	l := s.listen()
	s.Inject(simulator.Fault{Route: "webhook", Times: 1})
	_, err := s.PutFile("acme", "web", "f", nil)
	s.must(err)
	lost := s.Deliveries()[0]
	if len(l.events) != 0 || lost.Status != 0 || lost.Error == "" {
		t.Fatalf("it arrived: %v, recorded as %+v", l.events, lost)
	}
	for range 2 {
		s.must(s.Redeliver(lost.GUID))
	}
	if want := []string{lost.GUID, lost.GUID}; !cmp.Equal(l.guids, want) {
		t.Errorf("redelivered as %v, want %v", l.guids, want)
	}
	if s.Redeliver("none") == nil {
		t.Error("a delivery that never was can be repeated")
	}
}

func TestWebhooksAreAsGitHubDescribesThem(t *testing.T) {
	doc := loadDescription(t, "github-webhooks-subset.json")
	s := newStage(t)
	s.listen()
	job, err := s.StartJob(simulator.Job{Owner: "acme", Repo: "web"})
	s.must(err)
	s.must(s.FinishJob(job.ID, "success"))
	_, err = s.PutFile("acme", "web", "f", nil)
	s.must(err)
	s.must(s.RenameRepository("acme", "web", "site"))
	s.must(s.Suspend(s.installation.ID, true))
	s.must(s.Suspend(s.installation.ID, false))
	s.must(s.Uninstall(s.installation.ID))
	_, err = s.Install(simulator.Installation{AppID: s.app.ID, Owner: "acme"})
	s.must(err)
	deliveries := s.Deliveries()
	if len(deliveries) != 9 {
		t.Fatalf("%d deliveries, want 9", len(deliveries))
	}
	for _, d := range deliveries {
		name := strings.ReplaceAll(strings.TrimSuffix("webhook-"+d.Event+"-"+d.Action, "-"), "_", "-")
		schema := doc.Components.Schemas[name]
		if schema == nil {
			t.Errorf("GitHub describes no %s", name)
			continue
		}
		var payload any
		if err := json.Unmarshal(d.Payload, &payload); err != nil {
			t.Fatal(err)
		}
		if err := schema.Value.VisitJSON(payload); err != nil {
			t.Errorf("%s: not as GitHub tells it: %v", name, err)
		}
	}
}
