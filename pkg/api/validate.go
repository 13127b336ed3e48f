package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/curfew-dev/curfew/pkg/secret"
)

// What GitHub lets names be made of. None of it can end a line, open a quote or
// start a command, wherever later steps put it.
var (
	ownerName      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)
	repositoryName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	permissionName = regexp.MustCompile(`^[a-z_]{1,100}$`)
	levelName      = regexp.MustCompile(`^(read|write|admin)$`)
	botName        = regexp.MustCompile(`^[A-Za-z0-9._+@\[\]-]{0,320}$`)
	leaseName      = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	opaque         = regexp.MustCompile(`^[A-Za-z0-9._~+/=:-]+$`)
)

func (r TokenResponse) validateNames() error {
	if !ownerName.MatchString(r.Owner) {
		return errors.New("its owner is not a name")
	}
	for _, repository := range r.Repositories {
		if !repositoryName.MatchString(repository.Name) || repository.ID <= 0 {
			return errors.New("a repository has no name or id")
		}
	}
	for name, level := range r.Permissions {
		if !permissionName.MatchString(name) || !levelName.MatchString(level) {
			return errors.New("a permission is not a name with a level")
		}
	}
	for _, bot := range []string{r.AppSlug, r.GitUserName, r.GitUserEmail} {
		if !botName.MatchString(bot) {
			return errors.New("the App's name or address holds what no name holds")
		}
	}
	return nil
}

func (r TokenResponse) validateSecrets() error {
	if !leaseName.MatchString(r.LeaseID) {
		return errors.New("it names no lease")
	}
	for what, text := range map[string]secret.Text{"token": r.AccessToken, "revocation handle": r.RevocationHandle} {
		if value := text.Reveal(); len(value) > MaxToken || !opaque.MatchString(value) {
			return fmt.Errorf("its %s is missing, too long or holds what none holds", what)
		}
	}
	if r.TokenSHA256 != r.AccessToken.DigestBase64() {
		return errors.New("its token_sha256 is not that of the token")
	}
	return nil
}

// salvage finds what ends the lease of an answer that is otherwise useless.
func salvage(body []byte) secret.Text {
	var found struct {
		AccessToken      string `json:"access_token"`
		RevocationHandle string `json:"revocation_handle"`
	}
	_ = json.Unmarshal(body, &found) // what could be read is enough
	for _, value := range []string{found.RevocationHandle, found.AccessToken} {
		if len(value) <= MaxToken && opaque.MatchString(value) {
			return secret.New(value)
		}
	}
	return secret.Text{}
}
