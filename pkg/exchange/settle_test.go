package exchange_test

import (
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/audit"
	"github.com/curfew-dev/curfew/pkg/lease"
	"github.com/curfew-dev/curfew/pkg/problem"
	"github.com/curfew-dev/curfew/pkg/secret"
)

// A try is one attempt to end a token: what GitHub answers, how the lease
// stands then, and when it is due again, both counted from the try itself.
type try struct {
	after         time.Duration // since the try before; the first counts from the mint
	revoke, probe int           // 0: not asked
	err           error         // of the call that comes last
	state         lease.State
	next          time.Duration // 0: it is not due any more
}

var (
	outage  = problem.New(problem.GitHubError, "GitHub answers 502")
	limited = problem.New(problem.RateLimited, "GitHub wants a pause").WithRetryAfter(45 * time.Second)
)

var endings = []struct {
	how   string
	tries []try
}{
	{"deleted and seen dead", []try{
		{time.Minute, 204, 401, nil, lease.Revoked, 0},
	}},
	{"deleted, and it works for a while yet", []try{
		{time.Second, 204, 200, nil, lease.Ending, time.Second},
		{time.Second, 0, 200, nil, lease.Ending, 2 * time.Second},
		{2 * time.Second, 0, 401, nil, lease.Revoked, 0},
	}},
	{"deleted, and alive a minute later: deleted again", []try{
		{time.Second, 204, 200, nil, lease.Ending, time.Second},
		{61 * time.Second, 204, 401, nil, lease.Revoked, 0},
	}},
	{"deleted, but the probe fails", []try{
		{time.Minute, 204, 502, outage, lease.Ending, time.Second},
		{time.Second, 0, 401, nil, lease.Revoked, 0},
	}},
	{"found dead: once proves nothing, twice ten seconds apart does", []try{
		{5 * time.Minute, 401, 401, nil, lease.Ending, 10 * time.Second},
		{10 * time.Second, 401, 401, nil, lease.Gone, 0},
	}},
	{"found dead, but looked at again too early", []try{
		{5 * time.Minute, 401, 401, nil, lease.Ending, 10 * time.Second},
		{10*time.Second - 1, 0, 0, nil, lease.Ending, 1}, // not due yet
		{1, 401, 401, nil, lease.Gone, 0},
	}},
	{"found dead in the mint's first minute: GitHub may not know it yet", []try{
		{time.Second, 401, 401, nil, lease.Ending, 59 * time.Second},
		{59*time.Second - 1, 0, 0, nil, lease.Ending, 1},
		{1, 401, 401, nil, lease.Gone, 0},
	}},
	{"found dead, then alive, then deleted", []try{
		{time.Second, 401, 401, nil, lease.Ending, 59 * time.Second},
		{59 * time.Second, 204, 401, nil, lease.Revoked, 0},
	}},
	{"found dead, then GitHub fails: the count begins anew", []try{
		{5 * time.Minute, 401, 401, nil, lease.Ending, 10 * time.Second},
		{10 * time.Second, 502, 0, outage, lease.Ending, 2 * time.Second},
		{2 * time.Second, 401, 401, nil, lease.Ending, 10 * time.Second},
		{10 * time.Second, 401, 401, nil, lease.Gone, 0},
	}},
	{"401 to the deletion alone proves nothing", []try{
		{5 * time.Minute, 401, 200, nil, lease.Ending, time.Second},
		{time.Second, 204, 401, nil, lease.Revoked, 0},
	}},
	{"GitHub fails again and again: waits double", []try{
		{time.Minute, 500, 0, outage, lease.Ending, time.Second},
		{time.Second, 500, 0, outage, lease.Ending, 2 * time.Second},
		{2 * time.Second, 500, 0, outage, lease.Ending, 4 * time.Second},
		{4 * time.Second, 0, 0, outage, lease.Ending, 8 * time.Second},
		{8 * time.Second, 204, 401, nil, lease.Revoked, 0},
	}},
	{"GitHub says when to come back", []try{
		{time.Minute, 429, 0, limited, lease.Ending, 45 * time.Second},
		{45 * time.Second, 204, 401, nil, lease.Revoked, 0},
	}},
	{"GitHub fails until its hour is over", []try{
		{time.Minute, 500, 0, outage, lease.Ending, time.Second},
		{time.Hour - 1, 500, 0, outage, lease.Ending, 1},
		{1, 0, 0, nil, lease.Expired, 0},
	}},
	{"GitHub's wish for a pause ends with its hour", []try{
		{time.Hour + 30*time.Second, 429, 0, limited, lease.Ending, 30 * time.Second},
		{30 * time.Second, 0, 0, nil, lease.Expired, 0},
	}},
}

func TestHowATokenIsProvenDead(t *testing.T) {
	s := newStage(t)
	for n, row := range endings {
		s.now = noon.AddDate(0, 0, n)
		from := len(s.ledger.taken())
		issued := s.granted(s.ask(worker(n)))
		asked := [2]int{}
		for i, try := range row.tries {
			s.wait(try.after)
			s.github.onRevoke = func(string) (int, error) { asked[0]++; return answered(try.revoke, try.probe == 0, try.err) }
			s.github.onProbe = func(string) (int, error) { asked[1]++; return answered(try.probe, true, try.err) }
			asked = [2]int{}
			if i == 0 {
				s.must(s.hall.EndByToken(s.ctx, issued.Handle, "c-2"))
			} else {
				s.sweep()
			}
			l := s.is(issued.Lease.ID, try.state, lease.CausePost)
			next := time.Duration(0)
			if !l.NextAt.IsZero() {
				next = l.NextAt.Sub(s.clock())
			}
			if next != try.next {
				t.Errorf("%s, try %d: due again in %s, want %s", row.how, i, next, try.next)
			}
			if deletes := asked[0] > 0; try.err == nil && deletes != (try.revoke != 0) || asked[0] > 1 || asked[1] > 1 {
				t.Errorf("%s, try %d: GitHub was asked %d times to delete and %d times whether it works", row.how, i, asked[0], asked[1])
			}
			if over := try.state.Terminal(); over != (l.Sealed == nil) {
				t.Errorf("%s, try %d: %s and sealed token kept: %v", row.how, i, l.State, l.Sealed != nil)
			}
		}
		s.recorded(from, audit.LeaseIntent, audit.LeaseIssued, audit.LeaseEnding, audit.LeaseEnded)
	}
	s.silent()
}

// answered gives the error to the last call that is made, or to one that has no answer at all.
func answered(status int, last bool, err error) (int, error) {
	if err != nil && (last || status == 0) {
		return status, err
	}
	return status, nil
}

func TestTheEndIsRecordedWithItsProof(t *testing.T) {
	s := newStage(t)
	issued := s.granted(s.ask(worker(1)))
	s.must(s.hall.EndByToken(s.ctx, issued.Token, "c-2"))
	records := s.ledger.taken()
	ending, ended := records[2], records[3]
	if ending.Correlation != "c-2" || ending.Cause != "post" {
		t.Errorf("the ending is recorded as %+v", ending)
	}
	if ended.State != "revoked" || ended.Revoke != 204 || ended.Probe != 401 || ended.Lease != issued.Lease.ID {
		t.Errorf("the end is recorded as %+v", ended)
	}
}

// A token that does not open can't be ended: it is looked at once more when
// GitHub has ended it, and no sooner.
func TestASealedTokenThatDoesNotOpenWaitsForGitHub(t *testing.T) {
	s := newStage(t)
	issued := s.granted(s.ask(worker(1)))
	broken := s.lease(issued.Lease.ID).End(lease.CausePost, s.clock())
	broken.Sealed = []byte("what another key sealed")
	s.must(s.ledger.Ledger.Move(s.ctx, lease.Active, broken, audit.Record{Event: audit.LeaseEnding}))
	hour := time.Hour + time.Minute

	for _, at := range []time.Duration{10 * time.Second, time.Hour, hour - 1} {
		s.now = noon.Add(at)
		s.sweep()
		l := s.is(issued.Lease.ID, lease.Ending, lease.CausePost)
		if got := l.NextAt.Sub(noon); got != hour {
			t.Errorf("at %s: due again at %s, want %s", at, got, hour)
		}
	}
	s.now = noon.Add(hour)
	s.sweep()
	s.is(issued.Lease.ID, lease.Expired, lease.CausePost)
	if s.github.revokes != 0 {
		t.Error("GitHub was asked to delete something")
	}
}

// Whoever looks too early, as two sweeps at once may, proves nothing.
func TestALookAheadOfTimeProvesNothing(t *testing.T) {
	s := newStage(t)
	issued := s.granted(s.ask(worker(1)))
	s.wait(5 * time.Minute)
	s.github.onRevoke = func(string) (int, error) { return 401, nil }
	s.github.onProbe = s.github.onRevoke
	s.must(s.hall.EndByToken(s.ctx, issued.Handle, "c-2"))
	early := s.lease(issued.Lease.ID)
	s.wait(10*time.Second - 1)
	early.NextAt = s.clock()
	s.must(s.ledger.Postpone(s.ctx, early))
	s.sweep()
	if l := s.is(issued.Lease.ID, lease.Ending, lease.CausePost); !l.NextAt.Equal(s.clock().Add(1)) || !l.Dead401At.Equal(early.Dead401At) {
		t.Errorf("due again at %s, first seen dead at %s", l.NextAt, l.Dead401At)
	}
}

func TestWhatIsUnknownOrOverIsFineToEnd(t *testing.T) {
	s := newStage(t)
	issued := s.granted(s.ask(worker(1)))
	other := s.granted(s.ask(worker(1)))
	for _, token := range []secret.Text{secret.New("ghs_nobodys"), issued.Handle, issued.Handle, issued.Token} {
		if err := s.hall.EndByToken(s.ctx, token, "c-2"); err != nil {
			t.Errorf("got %v", err)
		}
	}
	s.is(issued.Lease.ID, lease.Revoked, lease.CausePost)
	s.is(other.Lease.ID, lease.Active, "") // I11
	if s.github.revokes != 1 {
		t.Errorf("%d deletions, want 1", s.github.revokes)
	}
}

// Revoking goes on while the ledger can't be written, and the client learns
// that it was not recorded.
func TestATokenDiesThoughItsEndCantBeRecorded(t *testing.T) {
	s := newStage(t)
	issued := s.granted(s.ask(worker(1)))
	s.ledger.broken(audit.LeaseEnding, audit.LeaseEnded)
	if err := s.hall.EndByToken(s.ctx, issued.Handle, "c-2"); !problem.Is(err, problem.StoreUnavailable) {
		t.Errorf("got %v, want store_unavailable", err)
	}
	if s.github.living() != 0 {
		t.Error("the token is alive")
	}
	s.is(issued.Lease.ID, lease.Active, "")
	s.ledger.before = nil
	s.wait(11 * time.Minute)
	s.sweep()
	s.wait(10 * time.Second)
	s.sweep()
	s.is(issued.Lease.ID, lease.Gone, lease.CauseCurfew)
}

func TestAnEndThatCantBeRecordedIsProvenAgain(t *testing.T) {
	s := newStage(t)
	issued := s.granted(s.ask(worker(1)))
	s.ledger.broken(audit.LeaseEnded)
	s.must(s.hall.EndByToken(s.ctx, issued.Handle, "c-2"))
	s.is(issued.Lease.ID, lease.Ending, lease.CausePost)
	s.ledger.before = nil
	for range 8 {
		s.wait(10 * time.Second)
		s.sweep()
	}
	s.is(issued.Lease.ID, lease.Gone, lease.CausePost)
	s.recorded(0, audit.LeaseIntent, audit.LeaseIssued, audit.LeaseEnding, audit.LeaseEnded)
}

// The job says that it is over at each moment of an exchange of its own.
func TestWithdrawnIsEndedAsClientGone(t *testing.T) {
	s := newStage(t)
	issued := s.granted(s.ask(worker(1)))
	s.must(s.hall.Withdraw(s.ctx, issued.Lease, "c-1"))
	s.is(issued.Lease.ID, lease.Revoked, lease.CauseClientGone)
	s.must(s.hall.Withdraw(s.ctx, issued.Lease, "c-1"))
	s.recorded(0, audit.LeaseIntent, audit.LeaseIssued, audit.LeaseEnding, audit.LeaseEnded)
}
