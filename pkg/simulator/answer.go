package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// object is a JSON object.
type object = map[string]any

// answer is what a route decided; nothing of it has been sent yet.
type answer struct {
	status int
	header http.Header
	body   any // marshalled, unless it is []byte or nil
	ending ending
	minted string // the token that the answer carries
}

// ending is how the connection fares when the answer is sent.
type ending int

const (
	whole ending = iota
	dropped
	halved
	hung
)

func ok(body any) answer { return reply(http.StatusOK, body) }

func reply(status int, body any) answer {
	return answer{status: status, header: http.Header{}, body: body}
}

// refuse answers with GitHub's error body.
// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
func refuse(status int, message string) answer {
	return reply(status, object{
		"message":           message,
		"documentation_url": "https://docs.github.com/rest",
		"status":            fmt.Sprint(status),
	})
}

func notFound() answer { return refuse(http.StatusNotFound, "Not Found") }

// invalid answers 422 with one field's error.
func invalid(resource, field, code string) answer {
	a := refuse(http.StatusUnprocessableEntity, "Validation Failed")
	a.body.(object)["errors"] = []object{{"resource": resource, "field": field, "code": code}}
	return a
}

// bytes renders the body once.
func (a *answer) bytes() []byte {
	if a.body == nil {
		return nil
	}
	if a.header.Get("Content-Type") == "" {
		a.header.Set("Content-Type", "application/json; charset=utf-8")
	}
	encoded, done := a.body.([]byte)
	if !done {
		encoded = render(a.body)
		a.body = encoded
	}
	return encoded
}

// render encodes what always can be encoded.
func render(body any) []byte {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("simulator: a body that JSON can't hold: %v", err))
	}
	return encoded
}

// send writes the answer as its ending says. It does not return when the
// connection is to be dropped.
func (a *answer) send(w http.ResponseWriter, r *http.Request) {
	switch a.ending {
	case hung:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case dropped:
		panic(http.ErrAbortHandler)
	}
	body := a.bytes()
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if len(body) > 0 {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	w.WriteHeader(a.status)
	if a.ending == halved {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body) // a client that left is no concern of GitHub's
}
