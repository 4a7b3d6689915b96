package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/schema"
)

type approvalConfig struct {
	Approvers      []string       `json:"approvers,omitempty" jsonschema:"title=Approvers,maxItems=50" jsonschema_description:"Ids or e-mail addresses of members, or roles: owner, admin, editor. A role stands for the stronger ones too. Empty: everybody who may execute."`
	Message        string         `json:"message" jsonschema:"required,title=Message,minLength=1" jsonschema_extras:"widget=textarea"`
	Form           map[string]any `json:"form,omitempty" jsonschema:"title=Form" jsonschema_description:"A JSON Schema; the data of an approval must fit it." jsonschema_extras:"widget=schema,literal=true"`
	TimeoutSeconds float64        `json:"timeout_seconds,omitempty" jsonschema:"title=At most,minimum=0" jsonschema_description:"Seconds to wait; without, for ever."`
	OnTimeout      string         `json:"on_timeout,omitempty" jsonschema:"title=When nobody has decided,enum=approve,enum=reject,enum=fail,default=fail"`
}

// longestMessage bounds what approvers read, in bytes.
const longestMessage = 10_000

var (
	memberID      = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	memberAddress = regexp.MustCompile(`^[^@\s{}]+@[^@\s{}]+$`)
)

// Check finds forms that are none and approvers that cannot be.
func (c approvalConfig) Check() []fault.Detail {
	var found []fault.Detail
	for i, who := range c.Approvers {
		if !strings.Contains(who, "{{") && approver(who) == "" {
			found = append(found, fault.Detail{Location: fmt.Sprintf("approvers[%d]", i), Code: "bad_approver",
				Message: "an approver is the id or the e-mail address of a member, or one of the roles owner, admin, editor", Value: who})
		}
	}
	if _, err := c.form(); err != nil {
		found = append(found, fault.Detail{Location: "form", Code: "bad_schema", Message: fmt.Sprintf("this is no JSON Schema: %s", err)})
	}
	return found
}

// approver returns how somebody is known; "" for what nobody can be.
func approver(who string) string {
	who = strings.ToLower(strings.TrimSpace(who))
	if who == "owner" || who == "admin" || who == "editor" || memberID.MatchString(who) || memberAddress.MatchString(who) {
		return who
	}
	return ""
}

func (c approvalConfig) form() (json.RawMessage, error) {
	if c.Form == nil {
		return nil, nil
	}
	text, err := json.Marshal(c.Form)
	if err == nil {
		_, err = schema.Compile(text)
	}
	return text, err
}

func approval(now func() time.Time) node.Type {
	return node.Define(node.Spec{
		Kind: "approval", Title: "Approval", Group: node.Logic, Category: "people", Icon: "user-check",
		Description: "Asks a person, and goes one way or the other.",
		Outputs:     []node.Handle{{Name: node.Approved, Title: "Approved"}, {Name: node.Rejected, Title: "Rejected"}},
		Outside:     true, Risk: node.RiskLow,
		Docs: `Waits until somebody approves or rejects: in the studio, by a link in a letter, or through the API. The first decision counts.
While it waits nothing runs and nothing is held. Named approvers get a letter; they must be members who may execute.

Answers ` + "`{decision, comment, data, by, at}`" + ` on approved or rejected; ` + "`data`" + ` is what was filled into the form. When timeout_seconds
pass, on_timeout decides: approve or reject (` + "`by`" + ` is then "timeout"), or fail with the code approval_timeout.

` + "```yaml" + `
config:
  approvers: [admin, ann@example.org]
  message: "Refund {{ trigger.amount }} to {{ trigger.customer }}?"
  form: {type: object, properties: {amount: {type: number, maximum: 500}}, required: [amount]}
  timeout_seconds: 86400
  on_timeout: reject
` + "```",
	}, func(ctx context.Context, c node.Call, cfg approvalConfig) (node.Result, error) {
		name := fmt.Sprintf("approval-%d", c.Attempt)
		answer, err := c.Answer(ctx, name)
		switch {
		case err != nil:
			return node.Result{}, err
		case answer == nil:
			return cfg.ask(name, now())
		case answer.Expired:
			return cfg.late(answer)
		}
		return decided(answer.Decision, answer.Comment, answer.Data, answer.By, answer.At), nil
	})
}

func (c approvalConfig) ask(name string, now time.Time) (node.Result, error) {
	form, err := c.form()
	if err != nil {
		return node.Result{}, fault.Wrap(fault.Invalid, err, "form is no JSON Schema: %s", err)
	}
	if len(c.Message) > longestMessage {
		return node.Result{}, fault.New(fault.Invalid, "the message has %d bytes, but at most %d are allowed", len(c.Message), longestMessage)
	}
	ask := node.Ask{Name: name, Kind: "approval", Message: c.Message, Form: form}
	for _, who := range c.Approvers {
		known := approver(who)
		if known == "" {
			return node.Result{}, fault.New(fault.Invalid, "an approver is the id or the e-mail address of a member, or one of the roles owner, admin, editor, but it is %s", describe(who))
		}
		ask.Approvers = append(ask.Approvers, known)
	}
	if c.TimeoutSeconds > 0 {
		ask.Until = now.Add(seconds(c.TimeoutSeconds))
	}
	return node.Await(ask), nil
}

// late does what on_timeout says.
func (c approvalConfig) late(answer *node.Answer) (node.Result, error) {
	switch c.OnTimeout {
	case "approve":
		return decided(node.Approved, "", nil, "timeout", answer.At), nil
	case "reject":
		return decided(node.Rejected, "", nil, "timeout", answer.At), nil
	}
	return node.Result{}, fault.New(fault.Timeout, "nobody decided within %g seconds", c.TimeoutSeconds).WithCode("approval_timeout")
}

func decided(decision, comment string, data any, by string, at time.Time) node.Result {
	return node.Output(decision, map[string]any{"decision": decision, "comment": comment, "data": data, "by": by, "at": at.UTC().Format(time.RFC3339Nano)})
}
