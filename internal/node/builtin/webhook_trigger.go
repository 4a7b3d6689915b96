package builtin

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

type webhookTriggerConfig struct {
	Path       string          `json:"path" jsonschema:"required,title=Path" jsonschema_description:"The end of the address, unique in the workspace: /hooks/<workspace>/<path>."`
	Method     string          `json:"method,omitempty" jsonschema:"title=Method,enum=GET,enum=POST,enum=PUT,enum=PATCH,enum=DELETE" jsonschema_description:"POST when neither method nor methods is given."`
	Methods    []string        `json:"methods,omitempty" jsonschema:"title=Methods" jsonschema_description:"Several methods instead of one."`
	Auth       string          `json:"auth,omitempty" jsonschema:"title=Authentication,enum=none,enum=header,enum=hmac,default=none" jsonschema_description:"header compares a header with the credential; hmac checks a SHA-256 signature over the raw body."`
	Header     string          `json:"header,omitempty" jsonschema:"title=Header" jsonschema_description:"The header that carries the secret (default X-Webhook-Secret) or the signature (default X-Signature-256)."`
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
	return found
}

// Arm returns the address that publishing opens.
func (c webhookTriggerConfig) Arm() node.Arming {
	w := node.Webhook{
		Path: strings.Trim(c.Path, "/"), Auth: orDefault(c.Auth, "none"), Header: c.Header, Credential: c.Credential,
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
		w.Header = "X-Signature-256"
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
- **auth**: none, header (a header equals the credential) or hmac (` + "`sha256=<hex>`" + ` over the raw body).
- **dedupe_key**: a delivery with a key that was seen starts nothing again.

` + "```yaml" + `
config: {path: orders, auth: hmac, credential: shop-secret, dedupe_key: "{{ trigger.headers['x-delivery'] }}"}
` + "```",
	}, func(_ context.Context, c node.Call, _ webhookTriggerConfig) (node.Result, error) {
		return node.Output("", c.Trigger), nil
	})
}
