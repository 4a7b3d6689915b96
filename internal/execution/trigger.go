package execution

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"
)

// checkTrigger validates the data against the trigger's input schema.
func (s *Service) checkTrigger(start *workflow.Step, data json.RawMessage) error {
	wanted := start.InputSchema()
	if wanted == nil {
		return nil
	}
	text, err := json.Marshal(wanted)
	if err != nil {
		return err
	}
	compiled, err := s.schemas.Compile(text)
	if err != nil {
		return fault.New(fault.Conflict, "the input schema of the trigger %q cannot be used: %s", start.Node.ID, err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return fault.InvalidInput(fault.Detail{Location: "body.trigger_data", Code: "not_json", Message: "the trigger data is not JSON"})
	}
	var faults []fault.Detail
	for _, f := range compiled.Validate(v) {
		location := "body.trigger_data"
		if f.Path != "" {
			location += "." + f.Path
		}
		faults = append(faults, fault.Detail{Location: location, Code: "input_schema", Message: f.Message})
	}
	if len(faults) > 0 {
		return fault.InvalidInput(faults...)
	}
	return nil
}

func requestHash(in StartInput) string {
	parts := []any{in.WorkflowID, in.Version, in.TriggerType, in.StartNode, in.TriggerData, in.Priority, in.ScheduledAt}
	if in.DryRun {
		parts = append(parts, in.PinnedOutputs)
	}
	if in.Until != "" {
		parts = append(parts, "until", in.Until)
	}
	text, _ := json.Marshal(parts) // strings and JSON: always written
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// dedupe gives a delivery the key of its event. Deliveries of one event may
// differ otherwise, in time stamps for one, so the key stands for the request.
func dedupe(e *New, start *workflow.Step, in StartInput) error {
	expression := start.Expression(in.DedupeKey)
	if expression == nil {
		return nil
	}
	var trigger any
	if err := json.Unmarshal(in.TriggerData, &trigger); err != nil {
		return fault.InvalidInput(fault.Detail{Location: "body.trigger_data", Code: "not_json", Message: "the trigger data is not JSON"})
	}
	v, err := expression.Eval(map[string]any{"trigger": trigger, "input": trigger})
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the delivery key of the trigger %q cannot be read from this call", start.Node.ID)
	}
	if v == nil || v == "" {
		return nil // this delivery has none
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the delivery key of the trigger %q is no value that can be compared", start.Node.ID)
	}
	happenedOnce(e, "delivery "+in.WorkflowID+" "+start.Node.ID, string(text))
	return nil
}

// happenedOnce gives an execution the key of what it is started for. The key
// stands for the request: whatever else is said of the happening may differ.
func happenedOnce(e *New, of, key string) {
	sum := sha256.Sum256([]byte(key))
	e.RequestHash = hex.EncodeToString(sum[:])
	e.IdempotencyKey = of + " " + e.RequestHash
}
