package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/curfew-dev/curfew/pkg/problem"
)

// A trick is a token that must be refused; stock tells that go-oidc alone takes it.
type trick struct {
	name  string
	stock bool
	code  problem.Code
	// make bends the issuer or the draft of a good token into the raw token.
	make func(i *issuer, d *draft) string
}

// TestTricks holds what the stock verifier, or anybody, would be tempted to
// accept. Each is refused with its code and a detail of its own, and a good
// token right after passes.
func TestTricks(t *testing.T) {
	details := map[string]string{}
	for _, trick := range slices.Concat(spellings, headers, payloads, timings, weakKeys, contents) {
		t.Run(trick.name, func(t *testing.T) {
			i := newIssuer(t)
			v := i.verifier(t, atNoon)
			raw := trick.make(i, i.draft())
			if got := stockAccepts(i, raw); got != trick.stock {
				t.Errorf("the stock verifier accepts it: %v, want %v", got, trick.stock)
			}
			_, err := v.Verify(t.Context(), raw)
			detail := refused(t, err, trick.code)
			if other, taken := details[detail]; taken {
				t.Errorf("%q has the detail of %q: %s", trick.name, other, detail)
			}
			details[detail] = trick.name
			if _, err := v.Verify(t.Context(), i.draft().String()); err != nil {
				t.Errorf("a good token right after is refused: %v", err)
			}
		})
	}
}

func stockAccepts(i *issuer, raw string) bool {
	ctx := oidc.ClientContext(context.Background(), i.Client())
	keys := oidc.NewRemoteKeySet(ctx, i.URL+"/keys")
	_, err := oidc.NewVerifier(i.URL, keys, &oidc.Config{ClientID: audience, Now: atNoon}).Verify(ctx, raw)
	return err == nil
}

var spellings = []trick{
	{"JSON serialization", true, problem.Malformed, func(_ *issuer, d *draft) string {
		p := strings.Split(d.String(), ".")
		return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, p[0], p[1], p[2])
	}},
	{"newline inside", true, problem.Malformed, func(_ *issuer, d *draft) string {
		p := strings.Split(d.String(), ".")
		return p[0] + "." + p[1][:9] + "\n" + p[1][9:] + "." + p[2]
	}},
	{"newline at the end", true, problem.Malformed, func(_ *issuer, d *draft) string { return d.String() + "\n" }},
	{"non-canonical last character", true, problem.Malformed, func(_ *issuer, d *draft) string {
		raw := d.String()
		return raw[:len(raw)-1] + nextLetter(raw[len(raw)-1])
	}},
	{"two parts", false, problem.Malformed, func(_ *issuer, d *draft) string {
		raw := d.String()
		return raw[:strings.LastIndex(raw, ".")]
	}},
	{"four parts", false, problem.Malformed, func(_ *issuer, d *draft) string { return d.String() + ".AA" }},
	{"no signature", false, problem.Malformed, func(_ *issuer, d *draft) string {
		raw := d.String()
		return raw[:strings.LastIndex(raw, ".")+1]
	}},
	{"padding", false, problem.Malformed, func(_ *issuer, d *draft) string {
		p := strings.Split(d.String(), ".")
		return p[0] + "=." + p[1] + "." + p[2]
	}},
	{"more than 16 KiB", true, problem.TooLarge, func(_ *issuer, d *draft) string {
		for n := range 12 {
			d.claim(fmt.Sprintf("repo_property_%d", n), quote(strings.Repeat("x", 1100)))
		}
		return d.String()
	}},
}

// nextLetter gives the character that differs from c only in its last bit,
// which a decoder of 256 bytes throws away.
func nextLetter(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

var headers = []trick{
	{"duplicate header member", false, problem.Malformed, func(_ *issuer, d *draft) string {
		d.header = append([]line{{"kid", `"other"`}}, d.header...)
		return d.String()
	}},
	{"case-variant header member", true, problem.Malformed, func(_ *issuer, d *draft) string {
		return d.head("KID", `"other"`).String()
	}},
	{"unknown header member", true, problem.Malformed, func(_ *issuer, d *draft) string {
		return d.head("cty", `"JWT"`).String()
	}},
	{"a jku in the header", true, problem.Malformed, func(_ *issuer, d *draft) string {
		return d.head("jku", `"https://evil.example"`).String()
	}},
	{"alg none", false, problem.Malformed, func(_ *issuer, d *draft) string { return d.head("alg", `"none"`).String() }},
	{"typ not JWT", true, problem.Malformed, func(_ *issuer, d *draft) string { return d.head("typ", `"at+jwt"`).String() }},
	{"typ a number", true, problem.Malformed, func(_ *issuer, d *draft) string { return d.head("typ", `1`).String() }},
	{"no kid", true, problem.Malformed, func(_ *issuer, d *draft) string { return d.head("kid", "").String() }},
	{"odd kid", true, problem.Malformed, func(i *issuer, d *draft) string {
		i.publish(jwkOf("../keys", &goodKey().PublicKey))
		return d.head("kid", `"../keys"`).String()
	}},
	{"header not JSON", false, problem.Malformed, func(_ *issuer, d *draft) string {
		return sign(`{"alg":"RS256"`, jsonText(d.payload), d.key)
	}},
	{"header not an object", false, problem.Malformed, func(_ *issuer, d *draft) string {
		return sign(`["RS256"]`, jsonText(d.payload), d.key)
	}},
}

var payloads = []trick{
	{"duplicate claim", true, problem.Malformed, func(_ *issuer, d *draft) string {
		d.payload = append([]line{{"repository_id", `"1"`}}, d.payload...)
		return d.String()
	}},
	{"case-variant member", true, problem.Malformed, func(_ *issuer, d *draft) string { return d.claim("SUB", `"x"`).String() }},
	{"only a case-variant member", true, problem.Malformed, func(_ *issuer, d *draft) string {
		return d.claim("jti", "").claim("Jti", `"x"`).String()
	}},
	{"a long s for an s", true, problem.Malformed, func(_ *issuer, d *draft) string {
		return d.claim("sub", "").claim("\u017fub", `"x"`).String()
	}},
	{"duplicate member deep inside", true, problem.Malformed, func(_ *issuer, d *draft) string {
		return d.claim("extra", `{"a":[{"bb":1,"bb":2}]}`).String()
	}},
	{"not UTF-8", true, problem.Malformed, func(_ *issuer, d *draft) string { return d.claim("extra", "\"\xff\"").String() }},
	{"a lone surrogate", true, problem.Malformed, func(_ *issuer, d *draft) string { return d.claim("extra", `"\ud800"`).String() }},
	{"trailing text", false, problem.Malformed, func(_ *issuer, d *draft) string {
		return sign(jsonText(d.header), jsonText(d.payload)+"{}", d.key)
	}},
	{"nine levels deep", true, problem.Malformed, func(_ *issuer, d *draft) string {
		return d.claim("extra", strings.Repeat("[", 8)+strings.Repeat("]", 8)).String()
	}},
	{"65 members", true, problem.Malformed, func(_ *issuer, d *draft) string {
		for n := len(d.payload); n < 65; n++ {
			d.claim(fmt.Sprintf("extra_%d", n), "1")
		}
		return d.String()
	}},
	{"a claim of more than 1 KiB", true, problem.Malformed, func(_ *issuer, d *draft) string {
		return d.claim("workflow", quote(strings.Repeat("x", 1025))).String()
	}},
	{"a property of more than 4 KiB", true, problem.Malformed, func(_ *issuer, d *draft) string {
		return d.claim("repo_property_tier", quote(strings.Repeat("x", 4097))).String()
	}},
	{"an id that is a number", true, problem.BadClaims, func(_ *issuer, d *draft) string { return d.claim("repository_id", "3002").String() }},
	{"a property that is a list", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("repo_property_tier", `["gold"]`).String()
	}},
	{"check_run_id that is a list", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("check_run_id", `["5005"]`).String()
	}},
	{"claims from elsewhere", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("_claim_names", "{}").String()
	}},
	{"another issuer", false, problem.WrongIssuer, func(i *issuer, d *draft) string { return d.claim("iss", quote(i.URL+"/")).String() }},
	{"no issuer", false, problem.WrongIssuer, func(_ *issuer, d *draft) string { return d.claim("iss", "").String() }},
	{"a list of audiences", true, problem.WrongAudience, func(_ *issuer, d *draft) string {
		return d.claim("aud", `["`+audience+`","https://other.example"]`).String()
	}},
	{"another audience", false, problem.WrongAudience, func(_ *issuer, d *draft) string {
		return d.claim("aud", quote(audience+"/")).String()
	}},
	{"no audience", false, problem.WrongAudience, func(_ *issuer, d *draft) string { return d.claim("aud", "").String() }},
}

// seconds writes a time relative to noon as a NumericDate.
func seconds(d time.Duration) string { return fmt.Sprint(noon.Add(d).Unix()) }

var timings = []trick{
	{"no iat", true, problem.BadClaims, func(_ *issuer, d *draft) string { return d.claim("iat", "").String() }},
	{"no exp", false, problem.BadClaims, func(_ *issuer, d *draft) string { return d.claim("exp", "").String() }},
	{"iat in the future", true, problem.NotYetValid, func(_ *issuer, d *draft) string {
		return d.claim("iat", seconds(time.Minute)).String()
	}},
	{"older than 10 minutes", true, problem.Stale, func(_ *issuer, d *draft) string {
		return d.claim("iat", seconds(-11*time.Minute)).String()
	}},
	{"lives longer than 15 minutes", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("exp", seconds(15*time.Minute)).String()
	}},
	{"expires before it is issued", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("iat", seconds(20*time.Second)).claim("exp", seconds(10*time.Second)).String()
	}},
	{"expired", false, problem.Expired, func(_ *issuer, d *draft) string { return d.claim("exp", seconds(-time.Second)).String() }},
	{"nbf in the future", true, problem.NotYetValid, func(_ *issuer, d *draft) string {
		return d.claim("nbf", seconds(time.Minute)).String()
	}},
	{"iat with a fraction", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("iat", seconds(0)+".5").String()
	}},
	{"iat a string", true, problem.BadClaims, func(_ *issuer, d *draft) string { return d.claim("iat", quote(seconds(0))).String() }},
	{"exp beyond all calendars", false, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("exp", "9223372036854775807").String()
	}},
}

var contents = []trick{
	{"bad signature", false, problem.BadSignature, func(_ *issuer, d *draft) string {
		raw := d.String()
		p := strings.Split(raw, ".")
		p[1] = encode([]byte(jsonText(d.claim("repository_id", `"1"`).payload)))
		return strings.Join(p, ".")
	}},
	{"no jti", true, problem.BadClaims, func(_ *issuer, d *draft) string { return d.claim("jti", "").String() }},
	{"jti of 129 characters", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("jti", quote(strings.Repeat("j", 129))).String()
	}},
	{"no sub", true, problem.BadClaims, func(_ *issuer, d *draft) string { return d.claim("sub", "").String() }},
	{"empty sub", true, problem.BadClaims, func(_ *issuer, d *draft) string { return d.claim("sub", `""`).String() }},
	{"no repository_owner_id", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("repository_owner_id", "").String()
	}},
	{"an id with a leading zero", true, problem.BadClaims, func(_ *issuer, d *draft) string { return d.claim("run_id", `"04004"`).String() }},
	{"a repository without an owner", true, problem.BadClaims, func(_ *issuer, d *draft) string { return d.claim("repository", `"web"`).String() }},
	{"a repository of another owner", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("repository", `"evil/web"`).String()
	}},
	{"sub with another owner's id", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("sub", `"repo:acme@1002/web@3002:ref:refs/heads/main"`).String()
	}},
	{"sub with another repository's id", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("sub", `"repo:acme@1001/web@3003:ref:refs/heads/main"`).String()
	}},
	{"sub with one id only", true, problem.BadClaims, func(_ *issuer, d *draft) string {
		return d.claim("sub", `"repo:acme@1001/web:ref:refs/heads/main"`).String()
	}},
}
