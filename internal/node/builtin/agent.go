package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"agentstudio/internal/agent"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
	"agentstudio/internal/schema"

	"github.com/invopop/jsonschema"
)

// Agent runs agents.
type Agent interface {
	Run(ctx context.Context, c node.Call, s agent.Settings, prompt []llm.Block) (*agent.Output, error)
}

type agentConfig struct {
	AgentID      string           `json:"agent_id,omitempty" jsonschema:"title=Saved agent" jsonschema_description:"A saved agent of the workspace. What is set below counts in its place." jsonschema_extras:"widget=agent,agent=true"`
	Variables    map[string]any   `json:"variables,omitempty" jsonschema:"title=Variables" jsonschema_description:"What the instructions of the saved agent read."`
	Model        modelNames       `json:"model,omitempty" jsonschema:"title=Model" jsonschema_description:"provider/name, or default. A list tries the next one when a model is overloaded or down." jsonschema_extras:"widget=model"`
	SystemPrompt string           `json:"system_prompt,omitempty" jsonschema:"title=System prompt" jsonschema_extras:"widget=textarea"`
	Prompt       string           `json:"prompt" jsonschema:"required,title=Prompt,minLength=1" jsonschema_extras:"widget=textarea"`
	Images       []string         `json:"images,omitempty" jsonschema:"title=Images,maxItems=20" jsonschema_description:"Addresses of images the model sees."`
	Files        []string         `json:"files,omitempty" jsonschema:"title=Files,maxItems=20" jsonschema_description:"Ids of files of the workspace that the model sees: pictures, PDFs and texts."`
	Tools        []string         `json:"tools,omitempty" jsonschema:"title=Tools,maxItems=50" jsonschema_extras:"widget=tools"`
	SubAgents    []string         `json:"sub_agents,omitempty" jsonschema:"title=Agents it gives tasks to,maxItems=20" jsonschema_description:"Ids of saved agents. Each is a tool, and works within this agent's limits and permissions." jsonschema_extras:"widget=agents,agent=true"`
	Handoffs     []string         `json:"handoffs,omitempty" jsonschema:"title=Agents it may hand over to,maxItems=20" jsonschema_description:"Ids of saved agents that may take the conversation over." jsonschema_extras:"widget=agents,agent=true"`
	Temperature  *float64         `json:"temperature,omitempty" jsonschema:"title=Temperature,minimum=0,maximum=2"`
	MaxTokens    int              `json:"max_tokens,omitempty" jsonschema:"title=Tokens of an answer,minimum=1,maximum=200000"`
	OutputSchema map[string]any   `json:"output_schema,omitempty" jsonschema:"title=Output schema" jsonschema_description:"A JSON Schema the answer must fit; the output then has data." jsonschema_extras:"widget=schema,literal=true"`
	Limits       agentLimits      `json:"limits,omitempty" jsonschema:"title=Limits"`
	Permissions  agentPermissions `json:"permissions,omitempty" jsonschema:"title=Permissions" jsonschema_extras:"literal=true"`
	Memory       agentMemory      `json:"memory,omitempty" jsonschema:"title=Memory"`
	Script       []any            `json:"script,omitempty" jsonschema:"title=Demo script" jsonschema_description:"What the offline demo model answers, turn by turn." jsonschema_extras:"literal=true"`
}

type agentLimits struct {
	MaxSteps       int     `json:"max_steps,omitempty" jsonschema:"title=Answers of the model,minimum=1,maximum=200,default=20"`
	MaxTokens      int64   `json:"max_tokens,omitempty" jsonschema:"title=Tokens in all,minimum=1" jsonschema_description:"Of all questions and answers, cached ones included."`
	MaxCostUSD     float64 `json:"max_cost_usd,omitempty" jsonschema:"title=Cost in dollars,minimum=0"`
	TimeoutSeconds float64 `json:"timeout_seconds,omitempty" jsonschema:"title=Seconds in all,minimum=1,maximum=86400"`
}

type agentPermissions struct {
	Mode  string   `json:"mode,omitempty" jsonschema:"title=Mode,enum=default,enum=auto,enum=plan,enum=bypass,default=default" jsonschema_description:"default asks a person before a risky tool is used, auto lets the agent use every tool it lists, plan only those that change nothing. bypass asks nobody, whatever is listed under Ask; only administrators of the workspace may save it."`
	Allow []string `json:"allow,omitempty" jsonschema:"title=Allowed"`
	Deny  []string `json:"deny,omitempty" jsonschema:"title=Denied"`
	Ask   []string `json:"ask,omitempty" jsonschema:"title=Ask a person"`
}

type agentMemory struct {
	Window    int     `json:"window,omitempty" jsonschema:"title=Turns remembered,minimum=1,maximum=1000"`
	Summary   bool    `json:"summary,omitempty" jsonschema:"title=Sum up older turns" jsonschema_description:"A running summary stands for older turns when the conversation passes a share of the model's window."`
	SummaryAt float64 `json:"summary_at,omitempty" jsonschema:"title=At this share of the window,minimum=0.1,maximum=0.9,default=0.7"`
}

// modelNames is one name or a list of them.
type modelNames []string

// UnmarshalJSON reads either form.
func (m *modelNames) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*m = modelNames{one}
		return nil
	}
	var list []string
	err := json.Unmarshal(text, &list)
	*m = list
	return err
}

// JSONSchema describes both forms.
func (modelNames) JSONSchema() *jsonschema.Schema {
	one := uint64(1)
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string", MinLength: &one}, {Type: "array", Items: &jsonschema.Schema{Type: "string", MinLength: &one}, MinItems: &one}}}
}

// Check finds schemas that cannot be used, and settings that exclude each other.
func (c agentConfig) Check() []fault.Detail {
	var found []fault.Detail
	if c.Memory.Summary && c.Memory.Window != 0 {
		found = append(found, fault.Detail{Location: "memory.window", Code: "not_both", Message: "turns are forgotten (window) or summed up (summary): leave one out"})
	}
	if c.OutputSchema == nil {
		return found
	}
	text, err := json.Marshal(c.OutputSchema)
	if err == nil {
		_, err = schema.Compile(text)
	}
	if err != nil {
		found = append(found, fault.Detail{Location: "output_schema", Code: "bad_schema", Message: fmt.Sprintf("this is no JSON Schema: %s", err)})
	}
	return found
}

// Frees says that the agent asks nobody.
func (c agentConfig) Frees() string {
	if agent.Mode(c.Permissions.Mode) == agent.ModeBypass {
		return "lets its agent use every tool it lists without anybody's consent (permissions.mode is bypass)"
	}
	return ""
}

func agentKind(runner Agent) node.Type {
	return node.Define(node.Spec{
		Kind: "agent", Title: "Agent", Group: node.Agent, Category: "agents", Icon: "bot",
		Description: "A language model that works with tools until it can answer.",
		Effect:      true, Risk: node.RiskMedium, Timeout: 30 * time.Minute, Presets: agentPresets(),
		Docs: `Asks a model, runs the tools it wants and gives it their results, until it answers. Every answer and every tool result is kept as it comes: an agent whose process dies goes on from there.

A tool under ` + "`permissions.ask`" + `, and in the mode default a risky one, waits for a person, who may change its arguments. A refusal
is told to the model with the comment. Waiting costs nothing and does not count against the limit of seconds.

With ` + "`agent_id`" + ` it is a saved agent (see Agents); what the node sets counts in place of what was saved.

Answers ` + "`{text, data?, model, stop_reason, steps, usage, cost_usd}`" + `; ` + "`data`" + ` is the answer as a value when there is an ` + "`output_schema`" + `, ` + "`cost_usd`" + ` is null when no price is known, ` + "`demo: true`" + ` marks answers of the offline demo model, and ` + "`agent`" + ` names who answered when the conversation was handed over.

` + "```yaml" + `
config:
  model: default
  system_prompt: You answer with sources.
  prompt: "What is new about {{ trigger.topic }}?"
  tools: [web_search, web_read]
  limits: {max_steps: 12, max_cost_usd: 0.20}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg agentConfig) (node.Result, error) {
		if runner == nil {
			return node.Result{}, fault.New(fault.NotConfigured, "this studio runs no agents")
		}
		settings, err := cfg.settings()
		if err != nil {
			return node.Result{}, err
		}
		out, err := runner.Run(ctx, c, settings, cfg.blocks())
		if err != nil {
			return node.Result{}, err
		}
		if len(out.Asks) > 0 {
			return node.Await(out.Asks...), nil
		}
		if out.Child != nil {
			return node.Result{Child: out.Child}, nil
		}
		return node.Output("", answerOf(out)), nil
	})
}

func (c agentConfig) settings() (agent.Settings, error) {
	s := agent.Settings{AgentID: c.AgentID, Variables: c.Variables, Models: c.Model, System: c.SystemPrompt, Tools: c.Tools, SubAgents: c.SubAgents, Handoffs: c.Handoffs, Temperature: c.Temperature, MaxTokens: c.MaxTokens,
		Limits: agent.Limits{MaxSteps: c.Limits.MaxSteps, MaxTokens: c.Limits.MaxTokens, MaxCost: int64(math.Round(c.Limits.MaxCostUSD * 1e6)),
			Timeout: time.Duration(c.Limits.TimeoutSeconds * float64(time.Second))},
		Permissions: agent.Permissions{Mode: agent.Mode(c.Permissions.Mode), Allow: c.Permissions.Allow, Deny: c.Permissions.Deny, Ask: c.Permissions.Ask},
		Window:      c.Memory.Window, Summary: c.Memory.Summary, SummaryAt: c.Memory.SummaryAt}
	var err error
	if c.OutputSchema != nil {
		if s.OutputSchema, err = json.Marshal(c.OutputSchema); err != nil {
			return s, err
		}
	}
	if c.Script != nil {
		s.Script, err = json.Marshal(c.Script)
	}
	return s, err
}

func (c agentConfig) blocks() []llm.Block {
	blocks := []llm.Block{}
	for _, address := range c.Images {
		blocks = append(blocks, llm.Block{Type: llm.ImageBlock, URL: address})
	}
	return append(blocks, agent.Showing(c.Files, c.Prompt)...)
}

func answerOf(out *agent.Output) map[string]any {
	answer := map[string]any{"text": out.Text, "model": out.Model, "stop_reason": out.StopReason, "steps": out.Steps, "usage": out.Usage, "cost_usd": nil}
	if out.CostMicros != nil {
		answer["cost_usd"] = float64(*out.CostMicros) / 1e6
	}
	if out.Data != nil {
		answer["data"] = out.Data
	}
	if out.Demo {
		answer["demo"] = true
	}
	if out.Agent != "" {
		answer["agent"] = out.Agent
	}
	return answer
}
