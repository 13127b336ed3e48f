package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Manage is the back door: what the Go methods do, as JSON. Serve it on a
// listener of its own, for it tells tokens and takes anyone's word.
func (g *GitHub) Manage() http.Handler { return g.manage }

func (g *GitHub) newManageMux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, handler := range map[string]http.Handler{
		"GET /{$}":                         tell(g.inventory),
		"POST /owners":                     take(func(o Owner, _ string) (any, error) { return g.AddOwner(o) }),
		"POST /repositories":               take(func(r Repository, _ string) (any, error) { return g.AddRepository(r) }),
		"POST /repositories/rename":        take(g.manageRename),
		"POST /files":                      take(g.managePutFile),
		"DELETE /files":                    take(g.manageRemoveFile),
		"POST /apps":                       take(g.manageAddApp),
		"POST /installations":              take(func(i Installation, _ string) (any, error) { return g.Install(i) }),
		"POST /installations/{id}/suspend": take(g.manageSuspend),
		"DELETE /installations/{id}":       take(g.manageUninstall),
		"POST /jobs":                       take(func(j Job, _ string) (any, error) { return g.StartJob(j) }),
		"POST /jobs/{id}/finish":           take(g.manageFinish),
		"POST /id-token":                   take(g.manageIDToken),
		"POST /rotate-key":                 take(g.manageRotateKey),
		"POST /faults":                     take(g.manageInject),
		"DELETE /faults":                   do(g.ClearFaults),
		"GET /mints":                       tell(func() any { return g.Mints() }),
		"GET /deletes":                     tell(func() any { return g.Deletes() }),
		"GET /calls":                       tell(func() any { return g.Calls() }),
		"DELETE /calls":                    do(g.ResetCalls),
		"GET /alive":                       tell(func() any { return g.AliveTokens() }),
		"POST /alive":                      take(g.manageAlive),
		"POST /tokens":                     take(g.manageTokens),
		"POST /rate-limit":                 take(g.manageRateLimit),
		"POST /webhook":                    take(g.manageWebhook),
		"GET /deliveries":                  tell(func() any { return g.Deliveries() }),
		"POST /deliveries/{id}/attempts":   take(func(_ struct{}, guid string) (any, error) { return nil, g.Redeliver(guid) }),
	} {
		mux.Handle(pattern, handler)
	}
	return mux
}

// tell answers with what is.
func tell(what func() any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeManaged(w, http.StatusOK, what()) })
}

// do answers 204 when it is done.
func do(what func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		what()
		w.WriteHeader(http.StatusNoContent)
	})
}

// take reads one JSON document of known members only, and the path's id, and
// answers 200 with what came of it; 400 if it can't be read, 422 if it is refused.
func take[In any](decide func(in In, id string) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := readStrictly(http.MaxBytesReader(w, r.Body, 8*maxBody), &in); err != nil {
			writeManaged(w, http.StatusBadRequest, object{"error": err.Error()})
			return
		}
		out, err := decide(in, r.PathValue("id"))
		switch {
		case err != nil:
			writeManaged(w, http.StatusUnprocessableEntity, object{"error": err.Error()})
		case out == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeManaged(w, http.StatusOK, out)
		}
	})
}

// readStrictly reads one document; no document is an empty one.
func readStrictly(r io.Reader, into any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(into); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read the request: more than one JSON document")
	}
	return nil
}

func writeManaged(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that left needs no answer
}

// duration is a time.Duration that JSON gives as "1.5s".
type duration time.Duration

// UnmarshalText reads the notation of time.ParseDuration.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

func number(id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no id", id)
	}
	return n, nil
}
