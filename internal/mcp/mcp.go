// Package mcp knows the MCP servers of workspaces: what people say about one,
// the connections to them, and the tools they offer.
package mcp

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"agentstudio/internal/node"
)

// Transport is how a server is spoken to.
type Transport string

// The transports.
const (
	Stdio Transport = "stdio" // a program on this machine
	HTTP  Transport = "http"  // streamable HTTP
	SSE   Transport = "sse"   // HTTP with server-sent events, as before 2025
)

// Transports lists every transport.
func Transports() []Transport { return []Transport{Stdio, HTTP, SSE} }

// Status is how the connection to a server stands.
type Status string

// The statuses.
const (
	Disconnected Status = "disconnected"
	Connecting   Status = "connecting"
	Connected    Status = "connected"
	Failed       Status = "error"
)

// Bounds of servers.
const (
	// MaxPerWorkspace bounds the servers of a workspace.
	MaxPerWorkspace = 100
	defaultTimeout  = time.Minute
	minTimeout      = time.Second
	maxTimeout      = time.Hour
	maxTools        = 500 // of one server
	// fresh is how long the status of a connection holds without being renewed.
	fresh = 100 * time.Second
)

// Definition is what people say about a server. Values of Env and Headers may
// refer to credentials: "credential:github", "Bearer credential:github".
type Definition struct {
	Name          string            `json:"name"`
	Description   string            `json:"description,omitempty"`
	Category      string            `json:"category,omitempty"`
	Transport     Transport         `json:"transport"`
	Command       string            `json:"command,omitempty"`
	Args          []string          `json:"args,omitempty"`
	Env           map[string]string `json:"env,omitempty"`
	URL           string            `json:"url,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
	Timeout       time.Duration     `json:"timeout"` // of one call
	AutoReconnect bool              `json:"auto_reconnect"`
}

// State is how the connections to a server stand, as the last process said.
type State struct {
	Status          Status
	LastError       string
	LastConnectedAt time.Time
	SeenAt          time.Time // when the status was told last
	Capabilities    json.RawMessage
	Tools           []Tool // as they were found last
}

// Server is an MCP server of a workspace.
type Server struct {
	ID          string
	WorkspaceID string
	UserID      string // who made it
	Version     int64  // 1, and one more with every change
	// Epoch grows with every change and every disconnection: connections of an
	// earlier one are closed.
	Epoch     int64
	CreatedAt time.Time
	UpdatedAt time.Time
	Definition
	State
}

// ETag names this state of the definition.
func (s *Server) ETag() string { return strconv.FormatInt(s.Version, 10) }

// judged takes back a status that nobody has renewed: its process is gone.
func (s *Server) judged(now time.Time) {
	if (s.Status == Connected || s.Status == Connecting) && now.Sub(s.SeenAt) > fresh {
		s.Status = Disconnected
	}
}

// normalise trims what people type and sets what they left out.
func (d *Definition) normalise() {
	d.Name, d.Description, d.Category = strings.TrimSpace(d.Name), strings.TrimSpace(d.Description), strings.ToLower(strings.TrimSpace(d.Category))
	d.URL, d.Command = strings.TrimSpace(d.URL), strings.TrimSpace(d.Command)
	if d.Timeout == 0 {
		d.Timeout = defaultTimeout
	}
	if d.Transport == "" {
		d.Transport = HTTP
	}
}

// Tool is a tool that a server offers.
type Tool struct {
	Name         string          `json:"name"`
	Title        string          `json:"title,omitempty"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"input_schema"`
	OutputSchema json.RawMessage `json:"output_schema,omitempty"`
	// What the server says about it; a server may be wrong.
	ReadOnly    bool  `json:"read_only,omitempty"`
	Destructive *bool `json:"destructive,omitempty"` // nil: not said, which the protocol reads as yes
}

// Risk is how much harm the tool can do, by what its server says. What says
// nothing is taken to destroy.
func (t Tool) Risk() node.Risk {
	switch {
	case t.ReadOnly:
		return node.RiskLow
	case t.Destructive != nil && !*t.Destructive:
		return node.RiskMedium
	}
	return node.RiskHigh
}

// Label is what people read.
func (t Tool) Label() string {
	if t.Title != "" {
		return t.Title
	}
	return t.Name
}

// Resource is something a server lets one read.
type Resource struct {
	URI         string `json:"uri"`
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	MIMEType    string `json:"mime_type,omitempty"`
	Size        int64  `json:"size,omitempty"`
	Template    bool   `json:"template,omitempty"` // the uri has places to fill
}

// Prompt is a text with places to fill that a server offers.
type Prompt struct {
	Name        string           `json:"name"`
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Arguments   []PromptArgument `json:"arguments"`
}

// PromptArgument is a place to fill.
type PromptArgument struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
}

// Info is what a server says of itself.
type Info struct {
	Name         string
	Version      string
	Protocol     string
	Instructions string
	Capabilities json.RawMessage
}

// Progress is how far a call has got. Total is 0 when it is not known.
type Progress struct {
	Done, Total float64
	Message     string
}

const prefix = "mcp/"

// ToolName is what agents call a server's tool.
func ToolName(server, tool string) string { return prefix + server + "/" + tool }

// splitName reads the name of a tool.
func splitName(name string) (server, tool string, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return "", "", false
	}
	server, tool, ok = strings.Cut(rest, "/")
	return server, tool, ok && server != "" && tool != ""
}
