package githubapp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// An App is how GitHub presents the App.
type App struct {
	ID   int64
	Slug string
	// BotName and BotEmail are what the App's bot user puts into commits.
	BotName, BotEmail string
}

// App tells who the App is, from GitHub the first time and from memory
// afterwards. Refusals: [problem.RateLimited], [problem.GitHubError].
// https://docs.github.com/en/rest/apps/apps#get-the-authenticated-app
func (c *Client) App(ctx context.Context) (App, error) {
	c.appMu.Lock()
	defer c.appMu.Unlock()
	if c.app != nil {
		return *c.app, nil
	}
	a, err := c.do(ctx, call{method: http.MethodGet, path: "app", limit: maxSmallAnswer})
	if err != nil {
		return App{}, noAnswer(err)
	}
	if !a.ok() {
		return App{}, c.refusal(a)
	}
	var body struct {
		ID   int64
		Slug string
	}
	if json.Unmarshal(a.body, &body) != nil || body.ID <= 0 || body.Slug == "" {
		return App{}, unreadable(a)
	}
	app := App{ID: body.ID, Slug: body.Slug, BotName: body.Slug + "[bot]"}
	app.BotEmail, err = c.botEmail(ctx, app.BotName)
	if err != nil {
		return App{}, err
	}
	c.app = &app
	return app, nil
}

// botEmail asks for the bot user's id, which GitHub links commits by. The
// route does not take an App JWT. A GitHub that shows its users only to people
// who are signed in gets the form without the id.
// https://docs.github.com/en/account-and-profile/reference/email-addresses-reference
func (c *Client) botEmail(ctx context.Context, name string) (string, error) {
	domain := "users.noreply." + webHost(c.api)
	a, err := c.do(ctx, call{method: http.MethodGet, path: "users/" + url.PathEscape(name), anonymous: true, limit: maxSmallAnswer})
	if err != nil {
		return "", noAnswer(err)
	}
	if _, limited := a.limited(c.now()); limited || a.status >= 500 {
		return "", c.refusal(a)
	}
	var user struct{ ID int64 }
	if a.ok() && json.Unmarshal(a.body, &user) == nil && user.ID > 0 {
		return fmt.Sprintf("%d+%s@%s", user.ID, name, domain), nil
	}
	return name + "@" + domain, nil
}
