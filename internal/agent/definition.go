package agent

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Type says what an agent is for. People look for agents by it; it changes
// nothing about how one runs.
type Type string

// Types lists every type.
func Types() []Type {
	return []Type{"agent", "code", "vision", "research", "router", "extract", "evaluate"}
}

// Role is what an agent does among others.
type Role string

// The roles.
const (
	Coordinator Role = "coordinator" // divides the work and gives it to others
	Specialist  Role = "specialist"  // knows one subject
	Executor    Role = "executor"    // carries out what was decided
	Validator   Role = "validator"   // judges the work of others
)

// Roles lists every role.
func Roles() []Role { return []Role{Coordinator, Specialist, Executor, Validator} }

// Bounds of a definition.
const (
	maxInstructions = 100_000 // characters
	maxTools        = 50
	maxModels       = 10
	maxOthers       = 20 // sub-agents, and agents to hand over to
	maxVariables    = 50
	maxTags         = 20
	maxObject       = 64 << 10 // bytes of a schema, a script, the metadata
	// MaxPerWorkspace bounds the agents of a workspace.
	MaxPerWorkspace = 1_000
	// MaxDepth bounds how deep agents call agents, the first one included.
	MaxDepth = 5
)

// Variable is a value that the instructions of an agent leave open: they read
// it as {{ name }}.
type Variable struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
	Default     any    `json:"default,omitempty"`
}

// Memory says how much of a conversation an agent keeps in mind.
type Memory struct {
	Window int `json:"window,omitempty"` // turns; 0: as many as fit
	// Summary folds older turns into a running summary when the conversation
	// passes SummaryAt, a share of the model's window; 0 means 0.7.
	Summary   bool    `json:"summary,omitempty"`
	SummaryAt float64 `json:"summary_at,omitempty"`
}

// Definition is what an agent is, as people write it.
type Definition struct {
	Name         string          `json:"name"`
	Description  string          `json:"description,omitempty"`
	Type         Type            `json:"type"`
	Role         Role            `json:"role"`
	SystemPrompt string          `json:"system_prompt,omitempty"`
	Variables    []Variable      `json:"variables,omitempty"`
	Models       []string        `json:"models,omitempty"` // empty means "default"
	Temperature  *float64        `json:"temperature,omitempty"`
	MaxTokens    int             `json:"max_tokens,omitempty"` // of one answer; 0: the provider's default
	Tools        []string        `json:"tools,omitempty"`
	Permissions  Permissions     `json:"permissions"`
	Memory       Memory          `json:"memory"`
	SubAgents    []string        `json:"sub_agents,omitempty"` // ids of agents it gives tasks to
	Handoffs     []string        `json:"handoffs,omitempty"`   // ids of agents it may give the conversation to
	OutputSchema json.RawMessage `json:"output_schema,omitempty"`
	Limits       Limits          `json:"limits"`
	Script       json.RawMessage `json:"script,omitempty"` // for the demo model
	Tags         []string        `json:"tags,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
}

// Agent is a saved agent of a workspace.
type Agent struct {
	ID          string
	WorkspaceID string
	UserID      string // who made it
	Version     int64  // 1, and one more with every change
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Definition
}

// ETag names this state of the agent.
func (a *Agent) ETag() string { return strconv.FormatInt(a.Version, 10) }

// normalise trims what people type and sets what they left out.
func (d *Definition) normalise() {
	d.Name = strings.TrimSpace(d.Name)
	if d.Type == "" {
		d.Type = "agent"
	}
	if d.Role == "" {
		d.Role = Specialist
	}
	if d.Permissions.Mode == "" {
		d.Permissions.Mode = ModeDefault
	}
	d.Tags = normaliseTags(d.Tags)
}

// normaliseTags trims, lowers and orders nothing: each tag once, as first met.
func normaliseTags(tags []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, t := range tags {
		if t = strings.ToLower(strings.TrimSpace(t)); t != "" && !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	return out
}
