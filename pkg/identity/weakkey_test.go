package identity

import (
	"crypto/rsa"
	"math/big"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/curfew-dev/curfew/pkg/problem"
)

var weakKeys = []trick{
	{"RSA 1024", true, problem.UnknownKey, func(i *issuer, d *draft) string {
		k := mustKey(1024)
		i.publish(jwkOf("weak", &k.PublicKey))
		return d.signedBy("weak", k).String()
	}},
	{"even exponent", false, problem.UnknownKey, bentKey("e", encode([]byte{2}))},
	{"exponent 1", false, problem.UnknownKey, bentKey("e", encode([]byte{1}))},
	{"exponent of 32 bits", false, problem.UnknownKey, bentKey("e", encode([]byte{128, 0, 0, 1}))},
	{"modulus of 8200 bits", false, problem.UnknownKey, bentKey("n", encode(make8200Bits()))},
	{"even modulus", false, problem.UnknownKey, bentKey("n", encode(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes()))},
	{"no modulus", false, problem.UnknownKey, bentKey("n", nil)},
	{"use enc", true, problem.UnknownKey, bentKey("use", "enc")},
	{"key_ops without verify", true, problem.UnknownKey, bentKey("key_ops", []string{"sign"})},
	{"key alg RS512", true, problem.UnknownKey, bentKey("alg", "RS512")},
	{"not RSA", false, problem.UnknownKey, bentKey("kty", "oct")},
	{"ROCA modulus", true, problem.UnknownKey, func(i *issuer, d *draft) string {
		i.publish(jwkOf("weak", &rocaKey().PublicKey))
		return d.signedBy("weak", rocaKey()).String()
	}},
	{"a kid that stands twice", true, problem.UnknownKey, func(i *issuer, d *draft) string {
		i.publish(jwkOf("weak", &goodKey().PublicKey), jwkOf("weak", &rocaKey().PublicKey))
		return d.head("kid", `"weak"`).String()
	}},
	{"unknown kid", false, problem.UnknownKey, func(_ *issuer, d *draft) string { return d.head("kid", `"nobody"`).String() }},
}

// bentKey publishes the good key under another kid with one member changed.
func bentKey(name string, value any) func(*issuer, *draft) string {
	return func(i *issuer, d *draft) string {
		i.publish(with(jwkOf("weak", &goodKey().PublicKey), name, value))
		return d.head("kid", `"weak"`).String()
	}
}

func make8200Bits() []byte {
	b := make([]byte, 8200/8)
	b[0], b[len(b)-1] = 0x80, 1
	return b
}

// rocaKey is a working 2048-bit key as Infineon's library made them.
var rocaKey = sync.OnceValue(func() *rsa.PrivateKey {
	random := rand.New(rand.NewPCG(1, 2))
	one := big.NewInt(1)
	for {
		p, q := rocaPrime(random), rocaPrime(random)
		n := new(big.Int).Mul(p, q)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(big.NewInt(65537), phi)
		if d == nil || n.BitLen() != 2048 || p.Cmp(q) == 0 {
			continue
		}
		k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 65537}, D: d, Primes: []*big.Int{p, q}}
		k.Precompute()
		return k
	}
})

// rocaPrime finds a 1024-bit prime k*M + (65537^a mod M), where M is the product of the first 126 primes.
func rocaPrime(random *rand.Rand) *big.Int {
	m := big.NewInt(1)
	for p, found := int64(2), 0; found < 126; p++ {
		if prime := big.NewInt(p); prime.ProbablyPrime(0) {
			m.Mul(m, prime)
			found++
		}
	}
	for {
		a := new(big.Int).Exp(big.NewInt(65537), new(big.Int).SetUint64(random.Uint64()), m)
		k := new(big.Int).SetUint64(random.Uint64()>>11 | 1<<52)
		p := a.Add(a, k.Mul(k, m))
		if p.BitLen() == 1024 && p.ProbablyPrime(5) {
			return p
		}
	}
}

func TestROCAFingerprint(t *testing.T) {
	if !isROCA(rocaKey().N) {
		t.Error("a ROCA modulus is not recognised")
	}
	if isROCA(goodKey().N) {
		t.Error("a sound modulus is taken for ROCA")
	}
	if len(rocaFingerprints) != 38 {
		t.Errorf("%d primes, want the 38 odd ones up to 167", len(rocaFingerprints))
	}
}

func TestSoundKeys(t *testing.T) {
	jwk := jwkOf("k", &goodKey().PublicKey)
	tests := []struct {
		name string
		jwk  map[string]any
	}{
		{"as GitHub publishes them", with(with(jwk, "x5t", "abc"), "x5c", []string{"MIID"})},
		{"use, alg and key_ops left out", with(with(jwk, "use", nil), "alg", nil)},
		{"key_ops with verify among others", with(jwk, "key_ops", []string{"sign", "verify"})},
		{"exponent 3", with(jwk, "e", encode([]byte{3}))},
	}
	for _, test := range tests {
		keys, err := parseKeys(keySetText(test.jwk), "https://issuer.example", audience)
		if err != nil || !keys["k"].usable() {
			t.Errorf("%s: %v %q", test.name, err, keys["k"].weakness)
		}
	}
}
