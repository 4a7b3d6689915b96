package builtin

import (
	"context"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// Mailer sends one plain-text letter.
type Mailer interface {
	Send(ctx context.Context, to, subject, text string) error
}

type sendEmailConfig struct {
	To      []string `json:"to" jsonschema:"required,title=To,minItems=1,maxItems=50"`
	Subject string   `json:"subject" jsonschema:"required,title=Subject,minLength=1,maxLength=500"`
	Text    string   `json:"text" jsonschema:"required,title=Text" jsonschema_extras:"widget=textarea"`
}

func sendEmail(mailer Mailer) node.Type {
	return node.Define(node.Spec{
		Kind: "send-email", Title: "Send e-mail", Group: node.Action, Category: "network", Icon: "mail",
		Description: "Sends a letter to one or more people.",
		Effect:      true, Risk: node.RiskMedium, Timeout: 2 * time.Minute,
		Docs: `Sends a plain-text letter to each address and answers ` + "`{sent: [addresses]}`" + `. Without a mail server the letter is printed to the server's log.

` + "```yaml" + `
config: {to: ["team@example.org"], subject: "Report of {{ execution.started_at | date('YYYY-MM-DD') }}", text: "{{ nodes.write.output.text }}"}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg sendEmailConfig) (node.Result, error) {
		if mailer == nil {
			return node.Result{}, fault.New(fault.NotConfigured, "this studio has no mail server")
		}
		if strings.ContainsAny(cfg.Subject, "\r\n") {
			return node.Result{}, fault.New(fault.Invalid, "the subject is one line, but it holds a line break")
		}
		sent := []any{}
		for _, to := range cfg.To {
			if strings.ContainsAny(to, "\r\n") || !strings.Contains(to, "@") {
				return node.Result{}, fault.New(fault.Invalid, "%q is not an e-mail address", to)
			}
		}
		for _, to := range cfg.To {
			// A step of its own: after a crash nobody gets the letter twice.
			_, err := c.Step(ctx, node.Step{Name: "to " + to, Kind: "mail", Title: to}, func(ctx context.Context) (node.StepResult, error) {
				return node.StepResult{Output: to}, mailer.Send(ctx, to, cfg.Subject, cfg.Text)
			})
			if err != nil {
				return node.Result{}, err
			}
			sent = append(sent, to)
		}
		return node.Output("", map[string]any{"sent": sent}), nil
	})
}
