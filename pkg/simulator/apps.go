package simulator

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// App is a registered GitHub App.
type App struct {
	ID          int64             `json:"id"`
	ClientID    string            `json:"client_id"`
	Slug        string            `json:"slug"`
	Permissions map[string]string `json:"permissions"`
	// KeyPEM is the App's RSA private key. One of 2048 bits is made when it is
	// empty. Only its public half is kept: AddApp returns the key, nothing else does.
	KeyPEM []byte `json:"-"`
}

type app struct {
	App
	key     *rsa.PublicKey
	bot     *account
	created time.Time
}

// AddApp registers an App, and creates its bot user "<slug>[bot]".
func (g *GitHub) AddApp(a App) (App, error) {
	if a.Slug == "" {
		a.Slug = "curfew"
	}
	if err := knownPermissions(a.Permissions); err != nil {
		return App{}, fmt.Errorf("app %s: %w", a.Slug, err)
	}
	key, err := a.privateKey()
	if err != nil {
		return App{}, fmt.Errorf("app %s: %w", a.Slug, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.ID, err = newID(g, a.ID, "app", 101, g.apps); err != nil {
		return App{}, err
	}
	if a.ClientID == "" {
		a.ClientID = fmt.Sprintf("Iv23li%014d", a.ID)
	}
	if g.appOf(a.ClientID) != nil {
		return App{}, fmt.Errorf("client id %s is taken", a.ClientID)
	}
	botUser, err := g.addAccount(Owner{Login: a.Slug + "[bot]", Type: bot})
	if err != nil {
		return App{}, err
	}
	a.Permissions = withMetadata(a.Permissions)
	kept := a
	kept.KeyPEM = nil
	g.apps[a.ID] = &app{App: kept, key: &key.PublicKey, bot: botUser, created: g.now()}
	a.KeyPEM = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return a, nil
}

// privateKey reads the key given as PKCS #1 or #8, or makes one.
func (a App) privateKey() (*rsa.PrivateKey, error) {
	if len(a.KeyPEM) == 0 {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	block, _ := pem.Decode(a.KeyPEM)
	if block == nil {
		return nil, errors.New("the key is not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the key is neither PKCS #1 nor PKCS #8: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the key is not an RSA key")
	}
	return key, nil
}

// appOf finds the App that an assertion's issuer names: a client id or an app id.
func (g *GitHub) appOf(issuer string) *app {
	for _, a := range g.apps {
		if a.ClientID == issuer || fmt.Sprint(a.ID) == issuer {
			return a
		}
	}
	return nil
}

// getApp answers GET /app.
// https://docs.github.com/en/rest/apps/apps#get-the-authenticated-app
func getApp(g *GitHub, q *request) answer {
	a := q.app
	count := 0
	for _, in := range g.installations {
		if in.app == a {
			count++
		}
	}
	shape := g.appShape(a)
	shape["installations_count"] = count
	return ok(shape)
}

// getUser answers GET /users/{username}, for owners and for the bots of Apps.
// https://docs.github.com/en/rest/users/users#get-a-user
func getUser(g *GitHub, q *request) answer {
	a := g.account(q.PathValue("username"))
	if a == nil {
		return notFound()
	}
	shape := g.userShape(a)
	shape["name"] = strings.TrimSuffix(a.Login, "[bot]")
	return ok(shape)
}
