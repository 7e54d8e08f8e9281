// Package verify checks the gateway's assertion in Go, with the standard library alone.
package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"time"
)

// Keys is what stands at {prefix}/jwks.json.
type Keys struct {
	Keys []struct{ Kid, Kty, Crv, X, Y string }
}

// Claims says who somebody is: Sub is the open_id.
type Claims struct {
	Iss, Aud, Sub, Sid, Scope string
	Exp, Nbf                  int64
}

// Verify returns the claims of an assertion that the gateway has signed for this app and for now. It takes what
// r.Header.Get("X-Gateway-Assertion") returns: nothing, for a request that has not come through the gateway, is an error.
func Verify(assertion string, keys Keys, issuer, audience string, now time.Time) (claims Claims, err error) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return claims, errors.New("no assertion")
	}
	raw := make([][]byte, 3)
	for i, part := range parts {
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return claims, err
		}
	}
	var head struct{ Alg, Kid string }
	if err = errors.Join(json.Unmarshal(raw[0], &head), json.Unmarshal(raw[1], &claims)); err != nil {
		return claims, err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signed := false
	for _, key := range keys.Keys {
		if key.Kid != head.Kid || key.Kty != "EC" || key.Crv != "P-256" || head.Alg != "ES256" || len(raw[2]) != 64 {
			continue
		}
		x, errX := base64.RawURLEncoding.DecodeString(key.X)
		y, errY := base64.RawURLEncoding.DecodeString(key.Y)
		if errX == nil && errY == nil {
			public := ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
			r, s := new(big.Int).SetBytes(raw[2][:32]), new(big.Int).SetBytes(raw[2][32:])
			signed = ecdsa.Verify(&public, digest[:], r, s)
		}
	}
	if !signed || claims.Iss != issuer || claims.Aud != audience {
		return Claims{}, errors.New("not signed by the gateway for this app")
	}
	if claims.Exp+30 <= now.Unix() || claims.Nbf-30 >= now.Unix() {
		return Claims{}, errors.New("not signed for now")
	}
	return claims, nil
}
