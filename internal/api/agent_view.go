package api

import (
	"encoding/json"
	"math"
	"reflect"
	"time"

	"agentstudio/internal/agent"

	"github.com/danielgtaylor/huma/v2"
)

// AgentFields are what one may say about an agent beside its name. What is
// left out stays as it is; null clears what need not be there.
type AgentFields struct {
	Description  *string                    `json:"description,omitempty" maxLength:"10000"`
	Type         *string                    `json:"type,omitempty" enum:"agent,code,vision,research,router,extract,evaluate" doc:"What it is for; changes nothing about how it runs"`
	Role         *string                    `json:"role,omitempty" enum:"coordinator,specialist,executor,validator" doc:"What it does among other agents"`
	SystemPrompt *string                    `json:"system_prompt,omitempty" maxLength:"100000" doc:"Its instructions; {{ name }} reads a variable"`
	Variables    *[]AgentVariable           `json:"variables,omitempty" maxItems:"50"`
	Model        *Models                    `json:"model,omitempty" doc:"A name, or a list whose later ones stand in on overload or outage; an empty list is default"`
	Temperature  Nullable[float64]          `json:"temperature,omitempty" required:"false" doc:"0 to 2; null: the provider's default"`
	MaxTokens    Nullable[int]              `json:"max_tokens,omitempty" required:"false" doc:"Of one answer, 1 to 200000; null: the provider's default"`
	Tools        *[]string                  `json:"tools,omitempty" maxItems:"50"`
	Permissions  *AgentPermissions          `json:"permissions,omitempty"`
	Memory       *AgentMemory               `json:"memory,omitempty"`
	SubAgents    *[]string                  `json:"sub_agents,omitempty" maxItems:"20" doc:"Ids of the agents it gives tasks to"`
	Handoffs     *[]string                  `json:"handoffs,omitempty" maxItems:"20" doc:"Ids of the agents it may hand the conversation over to"`
	OutputSchema Nullable[map[string]any]   `json:"output_schema,omitempty" required:"false" doc:"JSON Schema of its answer; null: text"`
	Limits       *AgentLimits               `json:"limits,omitempty"`
	Script       Nullable[[]map[string]any] `json:"script,omitempty" required:"false" doc:"What the offline demo model answers, turn by turn"`
	Tags         *[]string                  `json:"tags,omitempty" maxItems:"20"`
	Metadata     *map[string]any            `json:"metadata,omitempty" doc:"Anything; kept as it is"`
}

// AgentVariable is a value that instructions leave open.
type AgentVariable struct {
	Name        string `json:"name" maxLength:"64"`
	Description string `json:"description,omitempty" maxLength:"1000"`
	Required    bool   `json:"required,omitempty"`
	Default     any    `json:"default,omitempty"`
}

// AgentPermissions say which tools an agent may use. Deny wins.
type AgentPermissions struct {
	Mode  string   `json:"mode,omitempty" enum:"default,auto,plan,bypass" doc:"default: a person is asked before a risky tool; auto: all it lists; plan: only those that change nothing; bypass: all it lists, and nobody is asked, whatever ask says: for administrators of the workspace"`
	Allow []string `json:"allow,omitempty" maxItems:"50"`
	Deny  []string `json:"deny,omitempty" maxItems:"50"`
	Ask   []string `json:"ask,omitempty" maxItems:"50"`
}

// AgentMemory says how much of a conversation an agent keeps in mind.
type AgentMemory struct {
	Window    int     `json:"window,omitempty" minimum:"0" maximum:"1000" doc:"Turns; 0: as many as fit"`
	Summary   bool    `json:"summary,omitempty" doc:"Sum up older turns, in place of a window"`
	SummaryAt float64 `json:"summary_at,omitempty" minimum:"0" maximum:"0.9" doc:"The share of the model's window at which they are; 0.7"`
}

// AgentLimits bound a run. 0, or left out, is the default or no limit.
type AgentLimits struct {
	MaxSteps       int     `json:"max_steps,omitempty" minimum:"0" maximum:"200" doc:"Answers of the model; 20"`
	MaxTokens      int64   `json:"max_tokens,omitempty" minimum:"0" doc:"Of all questions and answers"`
	MaxCostUSD     float64 `json:"max_cost_usd,omitempty" minimum:"0" maximum:"1000000"`
	TimeoutSeconds float64 `json:"timeout_seconds,omitempty" minimum:"0" maximum:"86400"`
}

func set[T any](field *T, with *T) {
	if with != nil {
		*field = *with
	}
}

func (f AgentFields) apply(d *agent.Definition) {
	set(&d.Description, f.Description)
	set((*string)(&d.Type), f.Type)
	set((*string)(&d.Role), f.Role)
	set(&d.SystemPrompt, f.SystemPrompt)
	if f.Variables != nil {
		d.Variables = views(*f.Variables, func(v AgentVariable) agent.Variable { return agent.Variable(v) })
	}
	set((*Models)(&d.Models), f.Model)
	if f.Temperature.sent {
		d.Temperature = f.Temperature.value
	}
	if f.MaxTokens.sent {
		d.MaxTokens = f.MaxTokens.or(0)
	}
	set(&d.Tools, f.Tools)
	if p := f.Permissions; p != nil {
		d.Permissions = agent.Permissions{Mode: agent.Mode(p.Mode), Allow: p.Allow, Deny: p.Deny, Ask: p.Ask}
	}
	if f.Memory != nil {
		d.Memory = agent.Memory(*f.Memory)
	}
	set(&d.SubAgents, f.SubAgents)
	set(&d.Handoffs, f.Handoffs)
	f.OutputSchema.keep(&d.OutputSchema)
	if l := f.Limits; l != nil {
		d.Limits = agent.Limits{MaxSteps: l.MaxSteps, MaxTokens: l.MaxTokens, MaxCost: int64(math.Round(l.MaxCostUSD * 1e6)), Timeout: time.Duration(l.TimeoutSeconds * float64(time.Second))}
	}
	f.Script.keep(&d.Script)
	set(&d.Tags, f.Tags)
	if f.Metadata != nil {
		d.Metadata = rawJSON(*f.Metadata)
	}
}

// Agent is a saved agent.
type Agent struct {
	ID           string           `json:"id"`
	WorkspaceID  string           `json:"workspace_id"`
	UserID       string           `json:"user_id" doc:"Who made it"`
	Name         string           `json:"name"`
	Description  string           `json:"description"`
	Type         agent.Type       `json:"type"`
	Role         agent.Role       `json:"role"`
	SystemPrompt string           `json:"system_prompt"`
	Variables    []AgentVariable  `json:"variables"`
	Model        Models           `json:"model"`
	Temperature  *float64         `json:"temperature"`
	MaxTokens    *int             `json:"max_tokens"`
	Tools        []string         `json:"tools"`
	Permissions  AgentPermissions `json:"permissions"`
	Memory       AgentMemory      `json:"memory"`
	SubAgents    []string         `json:"sub_agents"`
	Handoffs     []string         `json:"handoffs"`
	OutputSchema json.RawMessage  `json:"output_schema,omitempty"`
	Limits       AgentLimits      `json:"limits"`
	Script       json.RawMessage  `json:"script,omitempty"`
	Tags         []string         `json:"tags"`
	Metadata     json.RawMessage  `json:"metadata,omitempty"`
	Version      int64            `json:"version"`
	CreatedAt    Time             `json:"created_at"`
	UpdatedAt    Time             `json:"updated_at"`
}

func viewAgent(a agent.Agent) Agent {
	d, l := a.Definition, a.Limits
	return Agent{ID: a.ID, WorkspaceID: a.WorkspaceID, UserID: a.UserID, Name: d.Name, Description: d.Description, Type: d.Type, Role: d.Role, SystemPrompt: d.SystemPrompt,
		Variables: views(d.Variables, func(v agent.Variable) AgentVariable { return AgentVariable(v) }), Model: listed(d.Models), Temperature: d.Temperature,
		MaxTokens: optionalNumber(d.MaxTokens), Tools: listed(d.Tools),
		Permissions: AgentPermissions{Mode: string(d.Permissions.Mode), Allow: d.Permissions.Allow, Deny: d.Permissions.Deny, Ask: d.Permissions.Ask},
		Memory:      AgentMemory(d.Memory), SubAgents: listed(d.SubAgents), Handoffs: listed(d.Handoffs), OutputSchema: d.OutputSchema,
		Limits: AgentLimits{MaxSteps: l.MaxSteps, MaxTokens: l.MaxTokens, MaxCostUSD: float64(l.MaxCost) / 1e6, TimeoutSeconds: l.Timeout.Seconds()},
		Script: d.Script, Tags: listed(d.Tags), Metadata: d.Metadata, Version: a.Version, CreatedAt: Time(a.CreatedAt), UpdatedAt: Time(a.UpdatedAt)}
}

type oneAgent struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     Agent
}

func answerAgent(a *agent.Agent, err error) (*oneAgent, error) {
	if err != nil {
		return nil, err
	}
	return &oneAgent{ETag: quoted(a.ETag()), Body: viewAgent(*a)}, nil
}

// newAgent is answerAgent for one that was just made.
func newAgent(a *agent.Agent, err error) (*oneAgent, error) {
	out, err := answerAgent(a, err)
	if err == nil {
		out.Location = base + "/agents/" + a.ID
	}
	return out, err
}

// Models is the name of a model, or a list of names.
type Models []string

// UnmarshalJSON reads either form.
func (m *Models) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*m = Models{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(m))
}

// Schema describes both forms.
func (Models) Schema(huma.Registry) *huma.Schema {
	least, most := 1, 10
	return &huma.Schema{OneOf: []*huma.Schema{{Type: "string", MinLength: &least}, {Type: "array", Items: &huma.Schema{Type: "string", MinLength: &least}, MaxItems: &most}}}
}

// Nullable is a field that may be left out, cleared by null, or set.
type Nullable[T any] struct {
	sent  bool
	value *T
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Nullable[T]) UnmarshalJSON(text []byte) error {
	n.sent = true
	return json.Unmarshal(text, &n.value)
}

// Schema describes a Nullable.
func (Nullable[T]) Schema(r huma.Registry) *huma.Schema {
	s := *huma.SchemaFromType(r, reflect.TypeFor[T]())
	s.Nullable = true
	return &s
}

func (n Nullable[T]) or(other T) T {
	if n.value == nil {
		return other
	}
	return *n.value
}

// keep writes what was sent as JSON; null clears.
func (n Nullable[T]) keep(to *json.RawMessage) {
	switch {
	case n.sent && n.value == nil:
		*to = nil
	case n.sent:
		*to = rawJSON(*n.value)
	}
}

// rawJSON writes a value that came from JSON.
func rawJSON(v any) json.RawMessage {
	text, _ := json.Marshal(v) // it was JSON before
	return text
}
