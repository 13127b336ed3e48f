package simulator

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Job is one job of a workflow run. Only Owner and Repo must be given.
type Job struct {
	ID                int64  `json:"id"`                 // equals check_run_id
	RunID             int64  `json:"run_id"`             // a new run unless given
	RunNumber         int64  `json:"run_number"`         // 1
	RunAttempt        int64  `json:"run_attempt"`        // 1
	Owner             string `json:"owner"`              // of the repository it runs in
	Repo              string `json:"repo"`               // its name
	Workflow          string `json:"workflow"`           // Release
	WorkflowPath      string `json:"workflow_path"`      // .github/workflows/release.yml
	Name              string `json:"name"`               // release
	Ref               string `json:"ref"`                // the default branch's
	SHA               string `json:"sha"`                // the default branch's head
	Event             string `json:"event"`              // push
	Actor             string `json:"actor"`              // octocat
	ActorID           int64  `json:"actor_id"`           // 583231
	Environment       string `json:"environment"`        // none
	JobWorkflowRef    string `json:"job_workflow_ref"`   // the workflow's own: no reusable workflow
	RunnerEnvironment string `json:"runner_environment"` // github-hosted
	HeadRef           string `json:"head_ref"`
	BaseRef           string `json:"base_ref"`
	Status            string `json:"status"`     // in_progress
	Conclusion        string `json:"conclusion"` // set when Status is completed
	NoOIDC            bool   `json:"no_oidc"`    // the workflow doesn't say id-token: write
}

// StartedJob is a job with what the runner would put into its environment.
type StartedJob struct {
	Job
	IDTokenURL          string `json:"id_token_url"`           // ACTIONS_ID_TOKEN_REQUEST_URL, with a query; empty with NoOIDC
	IDTokenRequestToken string `json:"id_token_request_token"` // ACTIONS_ID_TOKEN_REQUEST_TOKEN
}

// requestTokenLife is how long a job's request token works, also after the job.
const requestTokenLife = 6 * time.Hour

type job struct {
	Job
	repo         *repository
	started      time.Time
	completed    time.Time
	requestToken string
}

// StartJob starts a job, in a run of its own or in one that exists.
func (g *GitHub) StartJob(j Job) (StartedJob, error) {
	g.mu.Lock()
	started, err := g.start(j)
	if err != nil {
		g.mu.Unlock()
		return StartedJob{}, fmt.Errorf("start job in %s/%s: %w", j.Owner, j.Repo, err)
	}
	s := StartedJob{Job: started.Job}
	if !j.NoOIDC {
		s.IDTokenURL = fmt.Sprintf("%s/_services/pipelines/jobs/%d/idtoken?api-version=2.0", g.base, s.ID)
		s.IDTokenRequestToken = started.requestToken
	}
	e := g.jobEvent("in_progress", started)
	g.mu.Unlock()
	g.hook.send(e)
	return s, nil
}

func (g *GitHub) start(j Job) (*job, error) {
	repo, err := g.repository(j.Owner, j.Repo)
	if err != nil {
		return nil, err
	}
	if j.ID, err = newID(g, j.ID, "job", 30001, g.jobs); err != nil {
		return nil, err
	}
	if j.RunID == 0 {
		j.RunID, _ = newID(g, 0, "run", 70001, g.runs) // what wasn't given can't be taken
	}
	if run := g.runs[j.RunID]; len(run) > 0 && run[0].repo != repo {
		return nil, fmt.Errorf("run %d belongs to %s", j.RunID, run[0].repo.fullName())
	}
	j.Owner, j.Repo = repo.Owner, repo.Name
	j.fill(repo)
	if !slices.Contains(repo.commits, j.SHA) {
		repo.commits = append(repo.commits, j.SHA)
	}
	var secret [20]byte
	_, _ = rand.Read(secret[:]) // crypto/rand never fails
	started := &job{Job: j, repo: repo, started: g.now(), requestToken: "runner-" + hex.EncodeToString(secret[:])}
	if j.Status == "completed" {
		started.completed = started.started
	}
	g.jobs[j.ID] = started
	g.runs[j.RunID] = append(g.runs[j.RunID], started)
	return started, nil
}

// fill gives every field that was left out its default.
func (j *Job) fill(repo *repository) {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&j.Workflow, "Release")
	set(&j.WorkflowPath, ".github/workflows/release.yml")
	set(&j.Name, "release")
	set(&j.Ref, "refs/heads/"+repo.DefaultBranch)
	set(&j.SHA, repo.head())
	set(&j.Event, "push")
	set(&j.JobWorkflowRef, j.workflowRef())
	set(&j.RunnerEnvironment, "github-hosted")
	set(&j.Status, "in_progress")
	if j.Status == "completed" {
		set(&j.Conclusion, "success")
	}
	if j.Actor == "" && j.ActorID == 0 {
		j.Actor, j.ActorID = "octocat", 583231
	}
	j.RunAttempt, j.RunNumber = max(j.RunAttempt, 1), max(j.RunNumber, 1)
}

// workflowRef names the workflow file at the ref that runs.
func (j *Job) workflowRef() string {
	return j.Owner + "/" + j.Repo + "/" + j.WorkflowPath + "@" + j.Ref
}

// FinishJob ends a job. Webhooks tell of it, and of the run when this was the
// last job of its attempt.
func (g *GitHub) FinishJob(id int64, conclusion string) error {
	g.mu.Lock()
	j, ok := g.jobs[id]
	if !ok || j.Status == "completed" {
		g.mu.Unlock()
		return fmt.Errorf("job %d is not there to be finished", id)
	}
	if !slices.Contains(conclusions, conclusion) {
		g.mu.Unlock()
		return fmt.Errorf("finish job %d: no conclusion %q", id, conclusion)
	}
	j.Status, j.Conclusion, j.completed = "completed", conclusion, g.now()
	events := []*event{g.jobEvent("completed", j)}
	if attempt := g.attempt(j.RunID, j.RunAttempt); status(attempt) == "completed" {
		events = append(events, g.runEvent(attempt))
	}
	g.mu.Unlock()
	for _, e := range events {
		g.hook.send(e)
	}
	return nil
}

var conclusions = []string{"success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"}

// attempt lists the jobs of one attempt of a run, as they were started.
func (g *GitHub) attempt(run, number int64) []*job {
	var jobs []*job
	for _, j := range g.runs[run] {
		if j.RunAttempt == number {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// lastAttempt lists the jobs of a run's latest attempt.
func (g *GitHub) lastAttempt(run int64) []*job {
	var last int64
	for _, j := range g.runs[run] {
		last = max(last, j.RunAttempt)
	}
	return g.attempt(run, last)
}

// status is completed when every job is.
func status(attempt []*job) string {
	for _, j := range attempt {
		if j.Status != "completed" {
			return j.Status
		}
	}
	return "completed"
}

// conclusion is the first that isn't success, or null while the attempt goes on.
func conclusion(attempt []*job) any {
	if status(attempt) != "completed" {
		return nil
	}
	for _, j := range attempt {
		if j.Conclusion != "success" {
			return j.Conclusion
		}
	}
	return "success"
}

// mayAsk tells whether the request token is this job's and still works. That of a
// job with NoOIDC is told to nobody.
func (j *job) mayAsk(token string, now time.Time) bool {
	right := subtle.ConstantTimeCompare([]byte(token), []byte(j.requestToken)) == 1
	return right && now.Before(j.started.Add(requestTokenLife))
}
