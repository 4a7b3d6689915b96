package api

import (
	"encoding/json"
	"time"

	"agentstudio/internal/mcp"
	"agentstudio/internal/node"
)

// MCPServerFields are what one may say about an MCP server beside its name.
// What is left out stays as it is.
type MCPServerFields struct {
	Description   *string            `json:"description,omitempty" maxLength:"10000"`
	Category      *string            `json:"category,omitempty" maxLength:"64"`
	Transport     *string            `json:"transport,omitempty" enum:"stdio,http,sse" doc:"stdio: a program on the studio's machine; http: streamable HTTP; sse: as servers spoke before 2025"`
	Command       *string            `json:"command,omitempty" maxLength:"1024" doc:"With stdio: the program"`
	Args          *[]string          `json:"args,omitempty" maxItems:"100"`
	Env           *map[string]string `json:"env,omitempty" doc:"With stdio; credential:NAME in a value stands for what the credential holds"`
	URL           *string            `json:"url,omitempty" maxLength:"2048" doc:"With http and sse"`
	Headers       *map[string]string `json:"headers,omitempty" doc:"With http and sse; credential:NAME in a value, as in Bearer credential:NAME, stands for what the credential holds"`
	TimeoutMS     *int64             `json:"timeout_ms,omitempty" minimum:"1000" maximum:"3600000" doc:"Of one call; 60000"`
	AutoReconnect *bool              `json:"auto_reconnect,omitempty" doc:"Connect again when the connection breaks; true"`
}

func (f MCPServerFields) apply(d *mcp.Definition) {
	set(&d.Description, f.Description)
	set(&d.Category, f.Category)
	set((*string)(&d.Transport), f.Transport)
	set(&d.Command, f.Command)
	set(&d.Args, f.Args)
	set(&d.Env, f.Env)
	set(&d.URL, f.URL)
	set(&d.Headers, f.Headers)
	if f.TimeoutMS != nil {
		d.Timeout = time.Duration(*f.TimeoutMS) * time.Millisecond
	}
	set(&d.AutoReconnect, f.AutoReconnect)
}

// MCPServer is an MCP server of a workspace.
type MCPServer struct {
	ID              string            `json:"id"`
	WorkspaceID     string            `json:"workspace_id"`
	UserID          string            `json:"user_id" doc:"Who set it up"`
	Name            string            `json:"name"`
	Description     string            `json:"description"`
	Category        string            `json:"category"`
	Transport       mcp.Transport     `json:"transport"`
	Command         string            `json:"command"`
	Args            []string          `json:"args"`
	Env             map[string]string `json:"env" doc:"As written: credentials by name"`
	URL             string            `json:"url"`
	Headers         map[string]string `json:"headers" doc:"As written: credentials by name"`
	Status          mcp.Status        `json:"status" enum:"disconnected,connecting,connected,error" doc:"As the replica that used it last has told"`
	LastError       *string           `json:"last_error"`
	LastConnectedAt *Time             `json:"last_connected_at"`
	Capabilities    json.RawMessage   `json:"capabilities" doc:"What the server says it can do; {} before the first connection"`
	ToolCount       int               `json:"tool_count" doc:"Found at the last connection"`
	TimeoutMS       int64             `json:"timeout_ms"`
	AutoReconnect   bool              `json:"auto_reconnect"`
	Version         int64             `json:"version"`
	CreatedAt       Time              `json:"created_at"`
	UpdatedAt       Time              `json:"updated_at"`
}

func viewMCPServer(m mcp.Server) MCPServer {
	capabilities := m.Capabilities
	if len(capabilities) == 0 {
		capabilities = json.RawMessage("{}")
	}
	return MCPServer{ID: m.ID, WorkspaceID: m.WorkspaceID, UserID: m.UserID, Name: m.Name, Description: m.Description, Category: m.Category, Transport: m.Transport,
		Command: m.Command, Args: listed(m.Args), Env: object(m.Env), URL: m.URL, Headers: object(m.Headers), Status: m.Status, LastError: optional(m.LastError),
		LastConnectedAt: when(m.LastConnectedAt), Capabilities: capabilities, ToolCount: len(m.Tools), TimeoutMS: m.Timeout.Milliseconds(), AutoReconnect: m.AutoReconnect,
		Version: m.Version, CreatedAt: Time(m.CreatedAt), UpdatedAt: Time(m.UpdatedAt)}
}

// object is a map that is never null.
func object(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

type oneMCPServer struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     MCPServer
}

func answerMCPServer(m *mcp.Server, err error) (*oneMCPServer, error) {
	if err != nil {
		return nil, err
	}
	return &oneMCPServer{ETag: quoted(m.ETag()), Body: viewMCPServer(*m)}, nil
}

// MCPTool is a tool of an MCP server.
type MCPTool struct {
	ID           string          `json:"id" doc:"What agents call it: mcp/<server>/<tool>"`
	Name         string          `json:"name"`
	Title        string          `json:"title"`
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"input_schema"`
	OutputSchema json.RawMessage `json:"output_schema,omitempty"`
	ReadOnly     bool            `json:"read_only" doc:"As its server says"`
	Risk         node.Risk       `json:"risk" doc:"By what its server says; one that says nothing is taken to destroy"`
}

func viewMCPTool(server string, t mcp.Tool) MCPTool {
	return MCPTool{ID: mcp.ToolName(server, t.Name), Name: t.Name, Title: t.Label(), Description: t.Description, InputSchema: t.InputSchema, OutputSchema: t.OutputSchema,
		ReadOnly: t.ReadOnly, Risk: t.Risk()}
}

// MCPResult is what a tool of an MCP server answered.
type MCPResult struct {
	Content    []mcp.Content `json:"content"`
	Structured any           `json:"structured_content,omitempty"`
	IsError    bool          `json:"is_error" doc:"The tool has failed, and says why in content"`
	DurationMS int64         `json:"duration_ms"`
}

// MCPTemplate is an MCP server that is easy to set up: send server, with what
// notes ask for filled in, to create it.
type MCPTemplate struct {
	ID          string            `json:"id"`
	Server      MCPTemplateServer `json:"server"`
	Credentials []MCPCredential   `json:"credentials" doc:"What the server refers to; it must be set up before"`
	Notes       string            `json:"notes"`
}

// MCPTemplateServer is what a template says of its server.
type MCPTemplateServer struct {
	Name          string            `json:"name"`
	Description   string            `json:"description"`
	Category      string            `json:"category"`
	Transport     mcp.Transport     `json:"transport"`
	Command       string            `json:"command,omitempty"`
	Args          []string          `json:"args,omitempty"`
	Env           map[string]string `json:"env,omitempty"`
	URL           string            `json:"url,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
	TimeoutMS     int64             `json:"timeout_ms"`
	AutoReconnect bool              `json:"auto_reconnect"`
}

// MCPCredential is a credential that a template needs.
type MCPCredential struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

func viewMCPTemplate(t mcp.Template) MCPTemplate {
	d := t.Definition
	return MCPTemplate{ID: t.ID, Notes: t.Notes, Credentials: views(t.Credentials, func(n mcp.Need) MCPCredential { return MCPCredential(n) }),
		Server: MCPTemplateServer{Name: d.Name, Description: d.Description, Category: d.Category, Transport: d.Transport, Command: d.Command, Args: d.Args, Env: d.Env, URL: d.URL,
			Headers: d.Headers, TimeoutMS: d.Timeout.Milliseconds(), AutoReconnect: d.AutoReconnect}}
}
