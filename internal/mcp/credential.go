package mcp

import (
	"context"
	"regexp"
	"sort"
	"strings"

	"agentstudio/internal/fault"
)

// Secret is a text that shows as dots wherever it is printed.
type Secret string

const dots = "••••"

// String hides the text.
func (Secret) String() string { return dots }

// GoString hides the text.
func (Secret) GoString() string { return dots }

// MarshalText hides the text.
func (Secret) MarshalText() ([]byte, error) { return []byte(dots), nil }

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// Secrets returns what a credential of a workspace holds. NotFound: there is
// none of the name.
type Secrets func(ctx context.Context, workspaceID, credential string) ([]byte, error)

// reference finds the credentials in a value: at its begin, or after a space.
func reference() *regexp.Regexp {
	return regexp.MustCompile(`(^|\s)credential:([A-Za-z0-9][A-Za-z0-9_-]{0,63})`)
}

// refers reports whether a value names a credential.
func refers(value string) bool { return reference().MatchString(value) }

// refers reports whether a value of the definition names a credential.
func (d *Definition) refers() bool {
	for _, values := range []map[string]string{d.Env, d.Headers} {
		for _, value := range values {
			if refers(value) {
				return true
			}
		}
	}
	return false
}

// soundsSecret reports whether a value of this name is likely to be a secret.
func soundsSecret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"authorization", "token", "secret", "password", "passwd", "apikey", "api-key", "api_key", "cookie", "credential", "private"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return strings.HasSuffix(name, "_key") || strings.HasSuffix(name, "-key")
}

// resolver fills in credentials and remembers what must be hidden.
type resolver struct {
	secrets     Secrets
	workspaceID string
	hide        redactor
}

// fill replaces the references in the values. NotFound: names the credential
// that is not there.
func (r *resolver) fill(ctx context.Context, values map[string]string) (map[string]Secret, error) {
	out := make(map[string]Secret, len(values))
	for name, value := range values {
		var missing error
		filled := reference().ReplaceAllStringFunc(value, func(found string) string {
			at := strings.Index(found, "credential:")
			secret, err := r.secret(ctx, found[at+len("credential:"):])
			if err != nil {
				missing = err
			}
			return found[:at] + secret
		})
		if missing != nil {
			return nil, missing
		}
		out[name] = Secret(filled)
	}
	return out, nil
}

func (r *resolver) secret(ctx context.Context, name string) (string, error) {
	if r.secrets == nil {
		return "", fault.New(fault.NotConfigured, "this studio has no credentials")
	}
	value, err := r.secrets(ctx, r.workspaceID, name)
	if err != nil {
		return "", err
	}
	r.hide = append(r.hide, string(value))
	return string(value), nil
}

// redactor takes secrets out of what is shown.
type redactor []string

// shortest is the least a secret must have to be looked for: shorter ones stand
// in ordinary words.
const shortest = 6

func (r redactor) text(s string) string {
	longest := append([]string(nil), r...)
	sort.Slice(longest, func(i, j int) bool { return len(longest[i]) > len(longest[j]) })
	for _, secret := range longest {
		if len(secret) >= shortest {
			s = strings.ReplaceAll(s, secret, dots)
		}
	}
	return s
}

// value takes secrets out of every text in a value that came as JSON.
func (r redactor) value(v any) any {
	if len(r) == 0 {
		return v
	}
	switch x := v.(type) {
	case string:
		return r.text(x)
	case []any:
		for i := range x {
			x[i] = r.value(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = r.value(x[k])
		}
	}
	return v
}

func (r redactor) result(out *Result) {
	if len(r) == 0 {
		return
	}
	for i := range out.Content {
		c := &out.Content[i]
		c.Text, c.URI, c.Name = r.text(c.Text), r.text(c.URI), r.text(c.Name)
	}
	out.Structured = r.value(out.Structured)
}
