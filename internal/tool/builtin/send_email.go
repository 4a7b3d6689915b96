package builtin

import (
	"context"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

type sendEmailArgs struct {
	To      string `json:"to" jsonschema:"required,minLength=3,maxLength=254" jsonschema_description:"One address."`
	Subject string `json:"subject" jsonschema:"required,minLength=1,maxLength=500"`
	Text    string `json:"text" jsonschema:"required"`
}

func sendEmail(mailer Mailer) tool.Tool {
	t := tool.Define(tool.Spec{Name: "send_email", Title: "Send e-mail", Category: "communication", Risk: node.RiskHigh, Effect: true, Limit: perHour(100), Restrictions: []string{"One address and plain text, from the studio's own sender."},
		Description: "Sends a plain-text letter to one address."},
		func(ctx context.Context, _ tool.Call, a sendEmailArgs) (tool.Result, error) {
			if strings.ContainsAny(a.To+a.Subject, "\r\n") || !strings.Contains(a.To, "@") {
				return tool.Result{}, fault.New(fault.Invalid, "address and subject are one line each, and the address holds an @")
			}
			return tool.Result{Text: "Sent to " + a.To + ".", Value: map[string]any{"sent": a.To}}, mailer.Send(ctx, a.To, a.Subject, a.Text)
		})
	return needs(t, mailer != nil, "mail server")
}
