package simulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// certificateLife is that of the authority and of its one certificate, from
// an hour ago by the machine's own clock: clients have no other.
const certificateLife = 30 * 24 * time.Hour

// StartTLS is Start with https for GitHub's face, because some clients, gh
// among them, speak nothing else. [Server.CA] signs the certificate, which is for
// 127.0.0.1, localhost and the hosts.
func StartTLS(o Options, hosts ...string) (*Server, error) {
	authority, certificate, err := newCertificate(append([]string{"127.0.0.1", "localhost"}, hosts...))
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	s, err := start(o, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return nil, err
	}
	s.CA, s.Certificate = authority, certificate
	return s, nil
}

// newCertificate makes an authority, as PEM, and a certificate of its.
func newCertificate(hosts []string) (authority []byte, _ tls.Certificate, err error) {
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, tls.Certificate{}, err
		}
	}
	from := time.Now().Add(-time.Hour) // the machine's clock, not GitHub's
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Simulated GitHub"},
		NotBefore: from, NotAfter: from.Add(certificateLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signed, err := x509.CreateCertificate(rand.Reader, root, root, &keys[0].PublicKey, keys[0])
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: hosts[0]},
		NotBefore: from, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, &keys[1].PublicKey, keys[0])
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	return authority, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: keys[1]}, nil
}
