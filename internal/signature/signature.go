// Package signature checks the signatures that senders of webhooks put on
// their calls, each in its own way. Every scheme signs the raw body with
// HMAC-SHA256 and compares in constant time.
package signature

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Tolerance is how far a signature's own time may be from ours: older ones may
// be replayed by somebody who overheard them.
const Tolerance = 5 * time.Minute

// The encodings of generic signatures.
const (
	Hex    = "hex"
	Base64 = "base64"
)

// Options adjust the generic scheme.
type Options struct {
	Header   string // that carries the signature
	Prefix   string // before it; "sha256=" may stand there when this is empty
	Encoding string // Hex when empty
}

// Headers are the headers of a call, with canonical names.
type Headers map[string][]string

// Get returns the first value of a header.
func (h Headers) Get(name string) string {
	if values := h[textproto.CanonicalMIMEHeaderKey(name)]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Scheme is how one sender signs.
type Scheme struct {
	Name   string
	Header string // that carries the signature, when the sender names none
	// genuine reports whether the secret has signed the body at about now.
	genuine func(secret []byte, h Headers, body []byte, o Options, now time.Time) bool
	// delivery is what repeated deliveries of one event have in common; "" when
	// the call does not say.
	delivery func(h Headers, body []byte) string
}

// schemes lists every scheme.
func schemes() []Scheme { return []Scheme{generic(), github(), stripe(), slack()} }

// Find returns the scheme of a name; "" is generic.
func Find(name string) (Scheme, bool) {
	for _, s := range schemes() {
		if s.Name == name || name == "" && s.Name == "generic" {
			return s, true
		}
	}
	return Scheme{}, false
}

// Genuine reports whether the call was signed with the secret. An empty secret
// signs nothing.
func (s Scheme) Genuine(secret []byte, h Headers, body []byte, o Options, now time.Time) bool {
	if o.Header == "" {
		o.Header = s.Header
	}
	return len(secret) > 0 && s.genuine(secret, h, body, o, now)
}

// Delivery returns what the sender calls this delivery by, the same when it is
// repeated; "" when the scheme has no such thing.
func (s Scheme) Delivery(h Headers, body []byte) string {
	if s.delivery == nil {
		return ""
	}
	return s.delivery(h, body)
}

func sum(secret []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, secret)
	for _, part := range parts {
		m.Write(part)
	}
	return m.Sum(nil)
}

// signedHex compares a signature in hex.
func signedHex(given string, want []byte) bool {
	got, err := hex.DecodeString(given)
	return err == nil && hmac.Equal(got, want)
}

// generic is the signature of the body in a header.
func generic() Scheme {
	return Scheme{Name: "generic", Header: "X-Signature-256", genuine: func(secret []byte, h Headers, body []byte, o Options, _ time.Time) bool {
		given := strings.TrimSpace(h.Get(o.Header))
		if o.Prefix != "" {
			rest, found := strings.CutPrefix(given, o.Prefix)
			if !found {
				return false
			}
			given = rest
		} else {
			given = strings.TrimPrefix(given, "sha256=")
		}
		if o.Encoding != Base64 {
			return signedHex(given, sum(secret, body))
		}
		got, err := base64.StdEncoding.DecodeString(given)
		if err != nil {
			got, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(given, "="))
		}
		return err == nil && hmac.Equal(got, sum(secret, body))
	}}
}

// github: X-Hub-Signature-256: sha256=<hex of the body's signature>.
func github() Scheme {
	return Scheme{Name: "github", Header: "X-Hub-Signature-256",
		genuine: func(secret []byte, h Headers, body []byte, o Options, _ time.Time) bool {
			given, found := strings.CutPrefix(h.Get(o.Header), "sha256=")
			return found && signedHex(given, sum(secret, body))
		},
		delivery: func(h Headers, _ []byte) string { return h.Get("X-GitHub-Delivery") },
	}
}

// stripe: Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>], over
// "<seconds>.<body>". While a secret is replaced there are two v1.
func stripe() Scheme {
	return Scheme{Name: "stripe", Header: "Stripe-Signature",
		genuine: func(secret []byte, h Headers, body []byte, o Options, now time.Time) bool {
			at, signatures := stripeParts(h.Get(o.Header))
			if !timely(at, now) {
				return false
			}
			want, genuine := sum(secret, []byte(at), []byte("."), body), false
			for _, s := range signatures {
				genuine = signedHex(s, want) || genuine
			}
			return genuine
		},
		delivery: func(_ Headers, body []byte) string { return field(body, "id") },
	}
}

// maxSignatures bounds the signatures of one header.
const maxSignatures = 10

func stripeParts(header string) (at string, signatures []string) {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case name == "t" && at == "":
			at = value
		case name == "v1" && len(signatures) < maxSignatures:
			signatures = append(signatures, value)
		}
	}
	return at, signatures
}

// slack: X-Slack-Signature: v0=<hex>, over "v0:<seconds>:<body>", the seconds
// from X-Slack-Request-Timestamp.
func slack() Scheme {
	return Scheme{Name: "slack", Header: "X-Slack-Signature",
		genuine: func(secret []byte, h Headers, body []byte, o Options, now time.Time) bool {
			at := h.Get("X-Slack-Request-Timestamp")
			given, found := strings.CutPrefix(h.Get(o.Header), "v0=")
			return found && timely(at, now) && signedHex(given, sum(secret, []byte("v0:"+at+":"), body))
		},
		delivery: func(_ Headers, body []byte) string { return field(body, "event_id") },
	}
}

// timely reports whether seconds since 1970 are about now.
func timely(seconds string, now time.Time) bool {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return false
	}
	return now.Sub(time.Unix(n, 0)).Abs() <= Tolerance
}

// field reads a text of a body that is a JSON object.
func field(body []byte, name string) string {
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return ""
	}
	var object map[string]json.RawMessage
	var text string
	if json.Unmarshal(body, &object) != nil || json.Unmarshal(object[name], &text) != nil {
		return ""
	}
	return text
}
