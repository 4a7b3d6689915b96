package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"agentstudio/internal/agent"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// judgeConfig is what the kinds share that ask a model one question and need
// its answer in a shape: router, extract and evaluate.
type judgeConfig struct {
	Model      modelNames `json:"model,omitempty" jsonschema:"title=Model" jsonschema_description:"provider/name, or default. A list tries the next one when a model is overloaded or down." jsonschema_extras:"widget=model"`
	Images     []string   `json:"images,omitempty" jsonschema:"title=Images,maxItems=20" jsonschema_description:"Addresses of images the model sees."`
	MaxCostUSD float64    `json:"max_cost_usd,omitempty" jsonschema:"title=Cost in dollars,minimum=0"`
	Script     []any      `json:"script,omitempty" jsonschema:"title=Demo script" jsonschema_description:"What the offline demo model answers, turn by turn." jsonschema_extras:"literal=true"`
}

// judgeSpec is what their specs share.
func judgeSpec(s node.Spec) node.Spec {
	s.Group, s.Category, s.Effect, s.Risk, s.Timeout = node.Agent, "agents", true, node.RiskLow, 5*time.Minute
	return s
}

// judge asks the model for an answer that fits the shape; a first one that does
// not is shown its faults once. The answer is in the output's data.
func judge(ctx context.Context, runner Agent, c node.Call, cfg judgeConfig, system, question string, shape any) (*agent.Output, error) {
	if runner == nil {
		return nil, fault.New(fault.NotConfigured, "this studio runs no agents")
	}
	wanted, err := json.Marshal(shape)
	if err != nil {
		return nil, err
	}
	s := agent.Settings{Models: cfg.Model, System: system, OutputSchema: wanted, Limits: agent.Limits{MaxSteps: 2, MaxCost: int64(math.Round(cfg.MaxCostUSD * 1e6))}}
	if cfg.Script != nil {
		if s.Script, err = json.Marshal(cfg.Script); err != nil {
			return nil, err
		}
	}
	blocks := agentConfig{Images: cfg.Images, Prompt: question}.blocks()
	return runner.Run(ctx, c, s, blocks)
}

// read puts an answer that fits its shape into a value.
func read(out *agent.Output, v any) error {
	text, err := json.Marshal(out.Data)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("read the model's answer: %w", err)
	}
	return nil
}

// object is the JSON Schema of an object whose properties are all required.
func object(properties map[string]any) map[string]any {
	return map[string]any{"type": "object", "properties": properties, "required": slices.Sorted(maps.Keys(properties)), "additionalProperties": false}
}

// shown is what a judge looks at: text as it is, everything else as JSON.
func shown(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	text, err := json.MarshalIndent(v, "", "  ")
	return string(text), err
}

// noted says what was asked and what it cost, beside what the kind makes of it.
func noted(out *agent.Output, with map[string]any) map[string]any {
	answer := answerOf(out)
	delete(answer, "text")
	delete(answer, "data")
	delete(answer, "stop_reason")
	maps.Copy(answer, with)
	return answer
}

// nothingToLookAt is told when the value a kind looks at is not there: a model
// would make something up.
func nothingToLookAt(field string, v any, images []string) error {
	if v != nil && v != "" || len(images) > 0 {
		return nil
	}
	return fault.New(fault.Invalid, "there is nothing to look at: %s is empty", field).WithCode("empty")
}
