package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/signature"
)

// vector is a signed call that somebody else has written down.
type vector struct {
	scheme, secret, body string
	headers              signature.Headers
	at                   int64
}

const slackBody = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA" +
	"&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
	"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"

var vectors = map[string]vector{
	// docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation"
	"github": {scheme: "github", secret: "It's a Secret to Everybody", body: "Hello, World!",
		headers: signature.Headers{"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}}},
	// docs.slack.dev, "Verifying requests from Slack", the worked example
	"slack": {scheme: "slack", secret: "8f742231b10e8888abcd99yyyzzz85a5", body: slackBody, at: 1531420618,
		headers: signature.Headers{"X-Slack-Request-Timestamp": {"1531420618"},
			"X-Slack-Signature": {"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"}}},
	// docs.stripe.com, "Verify webhook signatures manually", says how but gives no
	// secret with its example; this one was signed after its steps with
	// printf '1492774577.{"id":"evt_1","object":"event"}' | openssl dgst -sha256 -hmac whsec_test_secret
	"stripe": {scheme: "stripe", secret: "whsec_test_secret", body: `{"id":"evt_1","object":"event"}`, at: 1492774577,
		headers: signature.Headers{"Stripe-Signature": {"t=1492774577,v1=654b43d3508ecadb3f8cefc4bc7d3d2bdc5ba9e03bf2c89b2d0657a8e24e4543,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"}}},
	// RFC 4231, test case 2
	"generic": {scheme: "generic", secret: "Jefe", body: "what do ya want for nothing?",
		headers: signature.Headers{"X-Signature-256": {"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"}}},
}

func genuine(v vector, o signature.Options) bool {
	s, ok := signature.Find(v.scheme)
	return ok && s.Genuine([]byte(v.secret), v.headers, []byte(v.body), o, time.Unix(v.at, 0).Add(10*time.Second))
}

func TestPublishedVectorsAreGenuine(t *testing.T) {
	for name, v := range vectors {
		if !genuine(v, signature.Options{}) {
			t.Errorf("%s: refused", name)
		}
	}
}

func TestWhatWasChangedIsRefused(t *testing.T) {
	for name, v := range vectors {
		for what, change := range map[string]func(*vector){
			"body":         func(v *vector) { v.body += " " },
			"secret":       func(v *vector) { v.secret += "x" },
			"no secret":    func(v *vector) { v.secret = "" },
			"no signature": func(v *vector) { v.headers = signature.Headers{} },
			"signature": func(v *vector) {
				changed := signature.Headers{}
				for h, values := range v.headers {
					changed[h] = []string{strings.NewReplacer("a", "b", "5", "6").Replace(values[0])}
				}
				v.headers = changed
			},
		} {
			changed := v
			change(&changed)
			if genuine(changed, signature.Options{}) {
				t.Errorf("%s with another %s was taken", name, what)
			}
		}
	}
}

func TestOldAndFutureSignaturesAreRefused(t *testing.T) {
	for _, name := range []string{"stripe", "slack"} {
		v := vectors[name]
		s, _ := signature.Find(name)
		for off, want := range map[time.Duration]bool{5 * time.Minute: true, -5 * time.Minute: true, 301 * time.Second: false, -301 * time.Second: false, 10 * 365 * 24 * time.Hour: false} {
			if got := s.Genuine([]byte(v.secret), v.headers, []byte(v.body), signature.Options{}, time.Unix(v.at, 0).Add(off)); got != want {
				t.Errorf("%s, %s later: %v", name, off, got)
			}
		}
	}
}

func TestStripeSignsWithTwoSecretsWhileOneIsReplaced(t *testing.T) {
	v := vectors["stripe"]
	v.headers = signature.Headers{"Stripe-Signature": {strings.Replace(v.headers["Stripe-Signature"][0], ",v1=", ",v1="+strings.Repeat("0", 64)+", v1=", 1)}}
	if !genuine(v, signature.Options{}) {
		t.Error("the second signature was not looked at")
	}
	v.headers = signature.Headers{"Stripe-Signature": {strings.ReplaceAll(v.headers["Stripe-Signature"][0], "v1=", "v0=")}}
	if genuine(v, signature.Options{}) {
		t.Error("a signature of another version was taken")
	}
}

func TestGenericSignaturesInEveryForm(t *testing.T) {
	m := hmac.New(sha256.New, []byte("s"))
	m.Write([]byte("body+/?"))
	raw := m.Sum(nil)
	for _, c := range []struct {
		given string
		o     signature.Options
		want  bool
	}{
		{hex.EncodeToString(raw), signature.Options{}, true},
		{strings.ToUpper(hex.EncodeToString(raw)), signature.Options{}, true},
		{"sha256=" + hex.EncodeToString(raw), signature.Options{}, true},
		{"sig " + hex.EncodeToString(raw), signature.Options{Prefix: "sig "}, true},
		{hex.EncodeToString(raw), signature.Options{Prefix: "sig "}, false},
		{base64.StdEncoding.EncodeToString(raw), signature.Options{Encoding: signature.Base64}, true},
		{base64.URLEncoding.EncodeToString(raw), signature.Options{Encoding: signature.Base64}, true},
		{base64.RawURLEncoding.EncodeToString(raw), signature.Options{Encoding: signature.Base64}, true},
		{hex.EncodeToString(raw), signature.Options{Encoding: signature.Base64}, false},
		{"", signature.Options{}, false},
		{"sha256=", signature.Options{}, false},
		{"zz", signature.Options{}, false},
	} {
		c.o.Header = "x-my-signature"
		s, _ := signature.Find("")
		if got := s.Genuine([]byte("s"), signature.Headers{"X-My-Signature": {c.given}}, []byte("body+/?"), c.o, time.Time{}); got != c.want {
			t.Errorf("%q %+v: %v", c.given, c.o, got)
		}
	}
	if _, found := signature.Find("morse"); found {
		t.Error("an unknown scheme was found")
	}
}

func TestDeliveriesAreKnownByWhatTheirSenderCallsThem(t *testing.T) {
	for _, c := range []struct {
		scheme  string
		headers signature.Headers
		body    string
		want    string
	}{
		{"github", signature.Headers{"X-Github-Delivery": {"72d3162e"}}, "{}", "72d3162e"},
		{"stripe", nil, `{"id":"evt_1"}`, "evt_1"},
		{"stripe", nil, `{"id":7}`, ""},
		{"stripe", nil, `[]`, ""},
		{"slack", nil, `{"event_id":"Ev08"}`, "Ev08"},
		{"slack", nil, slackBody, ""},
		{"generic", signature.Headers{"X-Github-Delivery": {"72d3162e"}}, `{"id":"x"}`, ""},
	} {
		s, _ := signature.Find(c.scheme)
		if got := s.Delivery(c.headers, []byte(c.body)); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.scheme, c.body, got, c.want)
		}
	}
}

// FuzzSignatures holds that nothing but a signature made with the secret over
// this body is taken, and that no header makes a scheme fall over.
func FuzzSignatures(f *testing.F) {
	for _, v := range vectors {
		for _, header := range v.headers {
			f.Add(v.scheme, header[0], fmt.Sprint(v.at), []byte(v.body))
		}
	}
	f.Add("stripe", "t=,v1=,,=,t", "-1", []byte("{"))
	f.Fuzz(func(t *testing.T, scheme, header, at string, body []byte) {
		s, ok := signature.Find(scheme)
		if !ok {
			return
		}
		secret := []byte("a secret that the fuzzer does not know")
		h := signature.Headers{s.Header: {header}, "X-Slack-Request-Timestamp": {at}}
		for _, o := range []signature.Options{{}, {Prefix: "p"}, {Encoding: signature.Base64}} {
			if s.Genuine(secret, h, body, o, time.Unix(1531420618, 0)) {
				t.Fatalf("%s took %q", scheme, header)
			}
		}
		_ = s.Delivery(h, body)
	})
}
