package identity

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/curfew-dev/curfew/pkg/problem"
)

func TestTimes(t *testing.T) {
	const s, m = time.Second, time.Minute
	none := time.Duration(-1 << 62)
	tests := []struct {
		name          string
		iat, exp, nbf time.Duration // relative to noon
		want          problem.Code
	}{
		{"issued now for 5 minutes", 0, 5 * m, -10 * m, ""},
		{"without nbf", 0, 5 * m, none, ""},
		{"iat 30 s ahead is forgiven", 30 * s, 5 * m, none, ""},
		{"iat 31 s ahead is not", 31 * s, 5 * m, none, problem.NotYetValid},
		{"iat 10 minutes ago is accepted", -10 * m, 5 * m, none, ""},
		{"iat 10 minutes and a second ago is not", -10*m - s, 4 * m, none, problem.Stale},
		{"exp in a second is accepted", -4 * m, s, none, ""},
		{"exp now is not: there is no skew", -5 * m, 0, none, problem.Expired},
		{"exp a second ago is not", -5 * m, -s, none, problem.Expired},
		{"a life of 15 minutes is accepted", 0, 15 * m, none, ""},
		{"a life of 15 minutes and a second is not", 0, 15*m + s, none, problem.BadClaims},
		{"a life of a second is accepted", 0, s, none, ""},
		{"a life of nothing is not", 10 * s, 10 * s, none, problem.BadClaims},
		{"nbf 30 s ahead is forgiven", 0, 5 * m, 30 * s, ""},
		{"nbf 31 s ahead is not", 0, 5 * m, 31 * s, problem.NotYetValid},
		{"nbf long ago is accepted", 0, 5 * m, -24 * time.Hour, ""},
		{"long dead is expired rather than stale", -60 * m, -55 * m, none, problem.Expired},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			claims := object{{"iat", json.Number(seconds(test.iat))}, {"exp", json.Number(seconds(test.exp))}}
			if test.nbf != none {
				claims = append(claims, member{"nbf", json.Number(seconds(test.nbf))})
			}
			got, err := checkTimes(claims, noon)
			if test.want != "" {
				refused(t, err, test.want)
				return
			}
			if err != nil || !got.issued.Equal(noon.Add(test.iat)) || !got.expires.Equal(noon.Add(test.exp)) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestExpiryHasNoGraceWithinTheSecond(t *testing.T) {
	claims := object{{"iat", json.Number(seconds(0))}, {"exp", json.Number(seconds(time.Minute))}}
	end := noon.Add(time.Minute)
	if _, err := checkTimes(claims, end.Add(-time.Nanosecond)); err != nil {
		t.Errorf("a nanosecond before exp: %v", err)
	}
	_, err := checkTimes(claims, end)
	refused(t, err, problem.Expired)
}

func TestTimesAreWholeSeconds(t *testing.T) {
	for _, raw := range []string{"1.0", "1e3", "-1", "-0", "1.5", "253402300800", "9223372036854775808", "1e999"} {
		_, err := readTime(object{{"iat", json.Number(raw)}}, "iat")
		refused(t, err, problem.BadClaims)
	}
	for _, value := range []any{"1", nil, true, object{}} {
		_, err := readTime(object{{"iat", value}}, "iat")
		refused(t, err, problem.BadClaims)
	}
	got, err := readTime(object{{"iat", json.Number(fmt.Sprint(lastSecond))}}, "iat")
	if err != nil || got.Year() != 9999 {
		t.Errorf("%v, %v", got, err)
	}
}
