package identity

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStrictJSON(t *testing.T) {
	tests := []struct {
		name, text string
		good       bool
	}{
		{"an object", `{"a":"x","b":1,"c":null,"d":true,"e":[1,"y"],"f":{"a":{}}}`, true},
		{"space around", " {\"a\" :\n1 } ", true},
		{"the same member in two objects", `{"a":{"x":1},"b":{"x":1}}`, true},
		{"a member twice", `{"a":1,"a":1}`, false},
		{"a member twice, once escaped", `{"a":1,"\u0061":1}`, false},
		{"a member in two cases", `{"kid":1,"Kid":1}`, false},
		{"a member with a Kelvin sign", `{"kid":1,"` + "\u212a" + `id":1}`, false},
		{"a member with a long s", `{"sub":1,"` + "\u017f" + `ub":1}`, false},
		{"a member twice within", `{"a":[{"x":1,"X":2}]}`, false},
		{"an array", `[]`, false},
		{"a string", `"x"`, false},
		{"nothing", ``, false},
		{"two objects", `{}{}`, false},
		{"a trailing comma", `{"a":1,}`, false},
		{"a comment", `{}//`, false},
		{"single quotes", `{'a':1}`, false},
		{"a byte order mark", "\ufeff{}", false},
		{"a raw line end in a string", "{\"a\":\"\n\"}", false},
		{"a leading zero", `{"a":01}`, false},
		{"NaN", `{"a":NaN}`, false},
		{"bad UTF-8", "{\"a\":\"\xc0\x80\"}", false},
		{"a NUL", `{"a":"\u0000"}`, false},
		{"half a surrogate pair in a name", `{"\udead":1}`, false},
		{"a surrogate pair", `{"a":"\ud83d\ude80"}`, true},
		{"8 levels", strings.Repeat(`{"a":`, 7) + "{}" + strings.Repeat("}", 7), true},
		{"9 levels", strings.Repeat(`{"a":`, 8) + "{}" + strings.Repeat("}", 8), false},
		{"1024 bytes in a string", `{"a":"` + strings.Repeat("x", 1024) + `"}`, true},
		{"1025 bytes in a string", `{"a":"` + strings.Repeat("x", 1025) + `"}`, false},
		{"1025 bytes in a list", `{"a":["` + strings.Repeat("x", 1025) + `"]}`, false},
		{"1025 bytes in a name", `{"` + strings.Repeat("x", 1025) + `":1}`, false},
	}
	for _, test := range tests {
		if _, err := parseObject([]byte(test.text), sameLimit); (err == nil) != test.good {
			t.Errorf("%s: %v, want good %v", test.name, err, test.good)
		}
	}
}

func TestTheOutermostMemberSetsTheLimit(t *testing.T) {
	long := `"` + strings.Repeat("x", maxString+1) + `"`
	for text, good := range map[string]bool{
		`{"repo_property_a":` + long + `}`:       true,
		`{"repo_property_a":[` + long + `]}`:     true,
		`{"repo_property_a":{"b":` + long + `}}`: true,
		`{"b":` + long + `}`:                     false,
		`{"b":{"repo_property_a":` + long + `}}`: false,
	} {
		if _, err := parseObject([]byte(text), claimLimit); (err == nil) != good {
			t.Errorf("%.30s: %v, want good %v", text, err, good)
		}
	}
}

// FuzzStrictJSON: what is accepted reads the same to encoding/json, in the first and in a second writing.
func FuzzStrictJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":"x","b":[1,-0.5e3,{"c":null}],"d":{"e":true}}`, `{"a":1,"A":2}`, `{"a":1,"a":2}`, "{\"\u212a\":1,\"k\":2}",
		`{"a":"\ud83d\ude80\n"}`, `{"a":"\ud800"}`, `{"":{}}`, `[{}]`, `{} {}`, `{"a":[[[[[[[[]]]]]]]]}`, "\xff",
		jsonText(goodDraft("https://issuer.example").payload),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		strict, err := parseObject(text, sameLimit)
		if err != nil {
			return
		}
		var loose map[string]any
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.UseNumber()
		if err := decoder.Decode(&loose); err != nil {
			t.Fatalf("accepted, but encoding/json: %v", err)
		}
		if diff := cmp.Diff(any(loose), bare(strict)); diff != "" {
			t.Fatal(diff)
		}
		again, err := json.Marshal(bare(strict))
		if err != nil {
			t.Fatal(err)
		}
		second, err := parseObject(again, sameLimit)
		if err != nil || !cmp.Equal(bare(strict), bare(second)) {
			t.Fatalf("a second writing differs: %v\n%s", err, again)
		}
	})
}

// bare strips the order of members.
func bare(v any) any {
	switch v := v.(type) {
	case object:
		m := map[string]any{}
		for _, inner := range v {
			m[inner.name] = bare(inner.value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = bare(v[i])
		}
		return list
	}
	return v
}
