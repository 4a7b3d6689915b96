package builtin

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/signature"
)

type webhookTriggerConfig struct {
	Path       string          `json:"path" jsonschema:"required,title=Path" jsonschema_description:"The end of the address, unique in the workspace: /hooks/<workspace>/<path>."`
	Method     string          `json:"method,omitempty" jsonschema:"title=Method,enum=GET,enum=POST,enum=PUT,enum=PATCH,enum=DELETE" jsonschema_description:"POST when neither method nor methods is given."`
	Methods    []string        `json:"methods,omitempty" jsonschema:"title=Methods" jsonschema_description:"Several methods instead of one."`
	Auth       string          `json:"auth,omitempty" jsonschema:"title=Authentication,enum=none,enum=header,enum=hmac,default=none" jsonschema_description:"header compares a header with the credential; hmac checks a SHA-256 signature over the raw body."`
	Scheme     string          `json:"scheme,omitempty" jsonschema:"title=Signature,enum=generic,enum=github,enum=stripe,enum=slack" jsonschema_description:"Who signs, with hmac: GitHub, Stripe and Slack each have their own way; generic is a SHA-256 signature of the body in a header."`
	Header     string          `json:"header,omitempty" jsonschema:"title=Header" jsonschema_description:"The header that carries the secret (default X-Webhook-Secret) or the generic signature (default X-Signature-256)."`
	Prefix     string          `json:"prefix,omitempty" jsonschema:"title=Prefix,maxLength=64" jsonschema_description:"What stands before a generic signature; sha256= may stand there in any case."`
	Encoding   string          `json:"encoding,omitempty" jsonschema:"title=Encoding,enum=hex,enum=base64" jsonschema_description:"How a generic signature is written; hex when left out."`
	Credential string          `json:"credential,omitempty" jsonschema:"title=Credential" jsonschema_description:"Name of the credential that holds the secret; needed for header and hmac." jsonschema_extras:"widget=credential"`
	Respond    string          `json:"respond,omitempty" jsonschema:"title=Respond,enum=immediately,enum=when-finished,enum=respond-node,default=immediately" jsonschema_description:"When the caller gets its answer."`
	DedupeKey  node.Expression `json:"dedupe_key,omitempty" jsonschema:"title=Delivery key" jsonschema_description:"A value that is the same for repeated deliveries of one event, such as trigger.headers['x-delivery']."`
}

var (
	webhookPath    = regexp.MustCompile(`^[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$`)
	webhookMethods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
)

// Check finds a path that is none, unknown methods and a missing credential.
func (c webhookTriggerConfig) Check() []fault.Detail {
	var found []fault.Detail
	if !webhookPath.MatchString(strings.Trim(c.Path, "/")) {
		found = append(found, fault.Detail{Location: "path", Code: "bad_path", Message: "the path is made of letters, digits, '-', '_', '.', '~' and single slashes between them", Value: c.Path})
	}
	for _, m := range c.Methods {
		if !slices.Contains(webhookMethods, strings.ToUpper(m)) {
			found = append(found, fault.Detail{Location: "methods", Code: "bad_method", Message: "the method is one of " + strings.Join(webhookMethods, ", "), Value: m})
		}
	}
	if (c.Auth == "header" || c.Auth == "hmac") && c.Credential == "" {
		found = append(found, fault.Detail{Location: "credential", Code: "missing_credential", Message: "authentication by " + c.Auth + " needs the name of a credential that holds the secret"})
	}
	if c.Auth != "hmac" && c.Scheme != "" {
		found = append(found, fault.Detail{Location: "scheme", Code: "not_hmac", Message: "a signature's scheme goes with auth: hmac"})
	}
	if !c.generic() {
		for _, f := range []struct{ name, value string }{{"header", c.Header}, {"prefix", c.Prefix}, {"encoding", c.Encoding}} {
			if f.value != "" {
				found = append(found, fault.Detail{Location: f.name, Code: "fixed_by_scheme", Message: "the scheme " + c.Scheme + " says where its signature stands: leave this out", Value: f.value})
			}
		}
	}
	return found
}

// generic reports whether header, prefix and encoding are the workflow's to say.
func (c webhookTriggerConfig) generic() bool {
	return c.Auth != "hmac" || c.Scheme == "" || c.Scheme == "generic"
}

// Arm returns the address that publishing opens.
func (c webhookTriggerConfig) Arm() node.Arming {
	w := node.Webhook{
		Path: strings.Trim(c.Path, "/"), Auth: orDefault(c.Auth, "none"), Header: c.Header, Prefix: c.Prefix, Encoding: c.Encoding, Credential: c.Credential,
		Respond: orDefault(c.Respond, "immediately"), DedupeKey: c.DedupeKey,
	}
	for _, m := range append(slices.Clone(c.Methods), c.Method) {
		if m = strings.ToUpper(m); m != "" && !slices.Contains(w.Methods, m) {
			w.Methods = append(w.Methods, m)
		}
	}
	if len(w.Methods) == 0 {
		w.Methods = []string{"POST"}
	}
	switch {
	case w.Header != "":
	case w.Auth == "header":
		w.Header = "X-Webhook-Secret"
	case w.Auth == "hmac":
		if scheme, known := signature.Find(c.Scheme); known {
			w.Header = scheme.Header
		}
	}
	if w.Auth == "hmac" {
		w.Scheme = orDefault(c.Scheme, "generic")
	}
	return node.Arming{Webhook: &w}
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func webhookTrigger() node.Type {
	return node.Define(node.Spec{
		Kind: "webhook-trigger", Title: "Webhook", Group: node.Trigger, Category: "start", Icon: "webhook",
		Description: "Starts the workflow when its address is called.",
		NoInput:     true, Starts: []string{"webhook"}, Instant: true, Risk: node.RiskLow,
		Docs: `Opens ` + "`/hooks/<workspace>/<path>`" + ` while the workflow is published. Its output, and ` + "`trigger`" + `, is
` + "`{method, path, query, headers, body, raw}`" + `: body is parsed when it is JSON or a form, raw is what was sent.

- **respond**: immediately (202), when-finished (the execution's output) or respond-node (what a respond node says).
- **auth**: none, header (a header equals the credential) or hmac (a signature over the raw body).
- **scheme** of the signature: github, stripe (with a tolerance of 5 minutes), slack (the same), or generic: HMAC-SHA256 in
  hex or base64, in a header of your choice, with or without a prefix.
- **dedupe_key**: a delivery with a key that was seen in the last 24 hours starts nothing again, and is answered with the
  first one's execution. Left out, GitHub's delivery id, Stripe's event id and Slack's event id are used with their schemes.

` + "```yaml" + `
config: {path: pushes, auth: hmac, scheme: github, credential: github-secret}
` + "```",
	}, func(_ context.Context, c node.Call, _ webhookTriggerConfig) (node.Result, error) {
		return node.Output("", c.Trigger), nil
	})
}
