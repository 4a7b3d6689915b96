package account

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"agentstudio/internal/fault"
)

const (
	refreshPrefix = "asr_"
	keyPrefix     = "ask_"
	ticketPrefix  = "ast_"
)

// signingKeys signs with the first key and accepts them all, so that a new key
// is put in front and the old one stays for as long as its tokens live.
type signingKeys struct {
	first string
	byID  map[string][]byte
}

func newSigningKeys(secrets [][]byte) (signingKeys, error) {
	if len(secrets) == 0 {
		return signingKeys{}, fmt.Errorf("accounts need a signing key")
	}
	k := signingKeys{byID: map[string][]byte{}}
	for i, secret := range secrets {
		if len(secret) < 32 {
			return signingKeys{}, fmt.Errorf("signing key %d is shorter than 32 bytes", i+1)
		}
		sum := sha256.Sum256(append([]byte("key id:"), secret...))
		id := hex.EncodeToString(sum[:6])
		if i == 0 {
			k.first = id
		}
		k.byID[id] = derive(secret, "access token")
	}
	return k, nil
}

// derive gives each use of a secret a key of its own.
func derive(secret []byte, use string) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("agentstudio " + use))
	return m.Sum(nil)
}

type claims struct {
	SessionID string `json:"sid"`
	Email     string `json:"email"`
	Type      string `json:"type"`
	jwt.RegisteredClaims
}

func (k signingKeys) sign(u User, sessionID, id string, now time.Time) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		SessionID: sessionID, Email: u.Email, Type: "access",
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: u.ID, ID: id,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(AccessTTL)),
		},
	})
	t.Header["kid"] = k.first
	return t.SignedString(k.byID[k.first])
}

// verify returns the claims of an access token that we signed and that has
// not expired. Every other token, of whatever algorithm, is refused.
func (k signingKeys) verify(token string, now time.Time) (claims, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		key, ok := k.byID[id]
		if !ok {
			return nil, fmt.Errorf("unknown key %q", id)
		}
		return key, nil
	}, jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil {
		return claims{}, fault.Wrap(fault.Unauthenticated, err, "the access token is not valid or has expired")
	}
	if c.Type != "access" || c.Subject == "" || c.SessionID == "" {
		return claims{}, fault.New(fault.Unauthenticated, "this is not an access token")
	}
	return c, nil
}

// randomToken returns the prefix and 256 random bits.
func randomToken(random io.Reader, prefix string) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	return prefix + base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// Hash is how random tokens are stored.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
