package simulator

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// deliveryTimeout is how long GitHub waits for a webhook's answer.
// https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks
const deliveryTimeout = 10 * time.Second

var hookClient = &http.Client{
	Timeout:       deliveryTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Delivery is one attempt to tell of an event.
type Delivery struct {
	GUID    string          `json:"guid"` // a redelivery keeps it
	Event   string          `json:"event"`
	Action  string          `json:"action"`
	Time    time.Time       `json:"time"`
	Payload json.RawMessage `json:"payload"`
	Status  int             `json:"status"` // 0 when there was no answer
	Error   string          `json:"error"`  // why there was none
}

// webhook is the one place events go to.
type webhook struct {
	mu          sync.Mutex
	url, secret string
	deliveries  []Delivery
	now         func() time.Time
	lost        func() bool // a fault loses this delivery
}

// event is what a webhook will tell.
type event struct {
	name, action string
	payload      []byte
}

// SetWebhook says where events go and with which secret they are signed; an
// empty URL stops them. Only repositories where an App is installed have events.
// A delivery is over before the call that caused it returns. It is never
// repeated, except by Redeliver.
func (g *GitHub) SetWebhook(url, secret string) {
	g.hook.mu.Lock()
	defer g.hook.mu.Unlock()
	g.hook.url, g.hook.secret = url, secret
}

// Deliveries lists what was sent, or lost, oldest first.
func (g *GitHub) Deliveries() []Delivery {
	g.hook.mu.Lock()
	defer g.hook.mu.Unlock()
	return append([]Delivery{}, g.hook.deliveries...)
}

// Redeliver sends an event once more, under the same id.
func (g *GitHub) Redeliver(guid string) error {
	for _, d := range g.Deliveries() {
		if d.GUID == guid {
			g.hook.deliver(d)
			return nil
		}
	}
	return fmt.Errorf("no delivery %s", guid)
}

func (h *webhook) listening() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.url != ""
}

func (h *webhook) send(e *event) {
	if e != nil {
		h.deliver(Delivery{GUID: newUUID(), Event: e.name, Action: e.action, Payload: e.payload})
	}
}

func (h *webhook) deliver(d Delivery) {
	d.Time, d.Status, d.Error = h.now(), 0, ""
	if h.lost() {
		d.Error = "lost"
	} else if status, err := h.post(d); err != nil {
		d.Error = err.Error()
	} else {
		d.Status = status
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliveries = append(h.deliveries, d)
}

// post signs and sends one delivery.
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func (h *webhook) post(d Delivery) (status int, err error) {
	h.mu.Lock()
	url, secret := h.url, h.secret
	h.mu.Unlock()
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(d.Payload))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(d.Payload) // a hash never fails
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "GitHub-Hookshot/simulator")
	r.Header.Set("X-GitHub-Event", d.Event)
	r.Header.Set("X-GitHub-Delivery", d.GUID)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	answer, err := hookClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxBody)) // so that the connection can be kept
	return answer.StatusCode, nil
}
