package simulator

import (
	"maps"
	"time"
)

type finish struct {
	Conclusion string `json:"conclusion"`
}

func (g *GitHub) manageFinish(f finish, id string) (any, error) {
	n, err := number(id)
	if err != nil {
		return nil, err
	}
	if f.Conclusion == "" {
		f.Conclusion = "success"
	}
	return nil, g.FinishJob(n, f.Conclusion)
}

// tokenWish asks for a job's OIDC token. Claims take the place of the true
// ones; null leaves one out.
type tokenWish struct {
	JobID    int64          `json:"job_id"`
	Audience string         `json:"audience"`
	Claims   map[string]any `json:"claims"`
}

func (g *GitHub) manageIDToken(w tokenWish, _ string) (any, error) {
	token, err := g.IDToken(w.JobID, w.Audience, func(claims map[string]any) {
		maps.Copy(claims, w.Claims)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	})
	return object{"value": token}, err
}

func (g *GitHub) manageRotateKey(struct{}, string) (any, error) {
	kid, err := g.RotateKey()
	return object{"kid": kid}, err
}

// managedFault is a fault whose durations are given as text.
type managedFault struct {
	Fault
	Delay     duration `json:"delay"`
	LateDeath duration `json:"late_death"`
}

func (g *GitHub) manageInject(m managedFault, _ string) (any, error) {
	f := m.Fault
	f.Delay, f.LateDeath = time.Duration(m.Delay), time.Duration(m.LateDeath)
	if err := f.check(); err != nil {
		return nil, err
	}
	return object{"id": g.Inject(f)}, nil
}

type bearer struct {
	Token string `json:"token"`
}

func (g *GitHub) manageAlive(b bearer, _ string) (any, error) {
	return object{"alive": g.Alive(b.Token)}, nil
}

type managedWebhook struct {
	URL    string `json:"url"`
	Secret string `json:"secret"`
}

func (g *GitHub) manageWebhook(w managedWebhook, _ string) (any, error) {
	g.SetWebhook(w.URL, w.Secret)
	return nil, nil
}
