package api

import (
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

// validate checks that a granted answer is whole and that each text in it has
// the form it must have, so that nothing unexpected flows into later steps.
func (r TokenResponse) validate(asked TokenRequest) error {
	switch {
	case r.TokenType != "Bearer" || r.IssuedTokenType != TokenTypeAccessToken:
		return errors.New("it is not a bearer access token")
	case r.Grant != asked.Grant:
		return errors.New("it is for another grant")
	case r.ExpiresIn <= 0 || r.ExpiresAt.IsZero():
		return errors.New("it does not say until when")
	case len(r.Permissions) == 0:
		return errors.New("it grants no permission")
	}
	if err := r.validateNames(); err != nil {
		return err
	}
	if asked.DryRun {
		return nil
	}
	return r.validateSecrets()
}

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

var credential = regexp.MustCompile(`"(?:revocation_handle|access_token)"\s*:\s*"([A-Za-z0-9._~+/=:-]+)"`)

// salvage finds what ends the lease of an answer that is otherwise useless,
// even where the answer is no JSON.
func salvage(body []byte) secret.Text {
	found := credential.FindSubmatch(body)
	if found == nil || len(found[1]) > MaxToken {
		return secret.Text{}
	}
	return secret.New(string(found[1]))
}
