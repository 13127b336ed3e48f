package identity

import (
	"crypto/rsa"
	"math/big"
)

const (
	minKeyBits = 2048
	maxKeyBits = 8192 // bounds the work of one signature check
)

// publicKey makes an RSA key of modulus and exponent, or says in words that
// follow "the key" why it is not good enough to believe.
func publicKey(n, e *big.Int) (key *rsa.PublicKey, weakness string) {
	switch {
	case n.BitLen() < minKeyBits:
		return nil, "has an RSA modulus shorter than 2048 bits"
	case n.BitLen() > maxKeyBits:
		return nil, "has an RSA modulus longer than 8192 bits"
	case n.Bit(0) == 0:
		return nil, "has an even RSA modulus"
	case e.Bit(0) == 0:
		return nil, "has an even RSA exponent"
	case e.Cmp(big.NewInt(3)) < 0:
		return nil, "has an RSA exponent below 3"
	case e.BitLen() > 31:
		return nil, "has an RSA exponent longer than 31 bits"
	case isROCA(n):
		return nil, "has an RSA modulus that can be factored (ROCA, CVE-2017-15361)"
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, ""
}

// isROCA tells whether a modulus came from Infineon's broken key generator. Its
// primes are k*M + (65537^a mod M) for a product M of small primes, so modulo
// each of those the modulus is a power of 65537; of other moduli about one in
// 2^27 is (Nemec et al., "The Return of Coppersmith's Attack", section 3).
func isROCA(n *big.Int) bool {
	var remainder big.Int
	for _, f := range rocaFingerprints {
		if !f.powers[remainder.Mod(n, f.prime).Int64()] {
			return false
		}
	}
	return true
}

// A rocaFingerprint holds which remainders modulo a prime are powers of 65537.
type rocaFingerprint struct {
	prime  *big.Int
	powers []bool
}

var rocaFingerprints = makeROCAFingerprints()

// makeROCAFingerprints takes the odd primes up to 167: every key length's M contains them.
func makeROCAFingerprints() []rocaFingerprint {
	var all []rocaFingerprint
	for p := int64(3); p <= 167; p += 2 {
		prime := big.NewInt(p)
		if !prime.ProbablyPrime(0) {
			continue
		}
		powers := make([]bool, p)
		for power := int64(1); !powers[power]; power = power * 65537 % p {
			powers[power] = true
		}
		all = append(all, rocaFingerprint{prime, powers})
	}
	return all
}
