package simulator

import (
	"fmt"
	"regexp"
	"strings"
)

// Owner is an organisation or a user that repositories belong to.
type Owner struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"` // Organization (the default) or User
}

const (
	organization = "Organization"
	user         = "User"
	bot          = "Bot"
)

// account is anything with a login: an owner, an actor or an App's bot.
type account struct {
	Owner
	bot bool
}

var loginPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}$`)

// AddOwner adds an organisation or a user. A login stands once, whatever its case.
func (g *GitHub) AddOwner(o Owner) (Owner, error) {
	if o.Type == "" {
		o.Type = organization
	}
	if o.Type != organization && o.Type != user {
		return Owner{}, fmt.Errorf("owner type %q is neither Organization nor User", o.Type)
	}
	if !loginPattern.MatchString(o.Login) {
		return Owner{}, fmt.Errorf("owner login %q is not a GitHub login", o.Login)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a, err := g.addAccount(o)
	if err != nil {
		return Owner{}, err
	}
	return a.Owner, nil
}

func (g *GitHub) addAccount(o Owner) (*account, error) {
	if g.account(o.Login) != nil {
		return nil, fmt.Errorf("login %q is taken", o.Login)
	}
	id, err := newID(g, o.ID, "account", 1001, g.accounts)
	if err != nil {
		return nil, err
	}
	o.ID = id
	a := &account{Owner: o, bot: o.Type == bot}
	g.accounts[id] = a
	return a, nil
}

// account finds a login without regard to case, or returns nil.
func (g *GitHub) account(login string) *account {
	for _, a := range g.accounts {
		if strings.EqualFold(a.Login, login) {
			return a
		}
	}
	return nil
}

// owner is the account of that login, if repositories may belong to it.
func (g *GitHub) owner(login string) (*account, error) {
	a := g.account(login)
	if a == nil || a.bot {
		return nil, fmt.Errorf("no owner %q", login)
	}
	return a, nil
}
