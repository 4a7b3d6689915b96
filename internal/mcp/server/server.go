// Package server is the studio as an MCP server, over the official SDK: its
// published workflows are tools, its executions resources.
package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Workflows knows what is offered.
type Workflows interface {
	Offered(ctx context.Context, by access.Actor, workspaceID, triggerType string) ([]workflow.Offer, error)
}

// Executions runs what is called.
type Executions interface {
	Run(ctx context.Context, by access.Actor, in execution.StartInput, responded bool, limit time.Duration) (*execution.Execution, error)
	Cancel(ctx context.Context, by access.Actor, id string) (*execution.Execution, error)
	Find(ctx context.Context, by access.Actor, id string) (*execution.Execution, error)
	List(ctx context.Context, by access.Actor, workspaceID string, f execution.Filter) (execution.Page, error)
}

// Bus tells how executions get on, and carries cancellations to the process
// that waits for one.
type Bus interface {
	Publish(ctx context.Context, events ...event.Event)
	Subscribe(rooms ...string) event.Subscription
}

// Shelf keeps which execution answers which request, for every process of the
// studio.
type Shelf interface {
	Keep(ctx context.Context, owner, key string, text []byte, until time.Time) error
	// Kept returns what was kept. NotFound: nothing is.
	Kept(ctx context.Context, owner, key string, now time.Time) ([]byte, error)
}

// Config adjusts a Handler. NewID must be set.
type Config struct {
	Version string // of the studio
	NewID   func() string
	MaxBody int64 // of a request, in bytes; 10 MiB
	// Longest is how long a call waits for its execution; 30 minutes. The
	// execution goes on after it.
	Longest time.Duration
	Log     *slog.Logger
}

// Handler answers MCP requests over streamable HTTP. It keeps no sessions: any
// process may answer any request. It is safe for concurrent use.
type Handler struct {
	workflows  Workflows
	executions Executions
	bus        Bus
	shelf      Shelf
	cfg        Config
	http       http.Handler
}

// New returns the handler.
func New(workflows Workflows, executions Executions, bus Bus, shelf Shelf, cfg Config) *Handler {
	if cfg.Longest <= 0 {
		cfg.Longest = 30 * time.Minute
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 10 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{workflows: workflows, executions: executions, bus: bus, shelf: shelf, cfg: cfg}
	h.http = sdk.NewStreamableHTTPHandler(h.server, &sdk.StreamableHTTPOptions{
		Stateless: true, MaxRequestBodyBytes: cfg.MaxBody,
		DisableLocalhostProtection: true, // callers show a bearer token, which no page of another site has
	})
	return h
}

// sessionHeader names the session of a client. It is ours to tell apart the
// requests that are cancelled.
const sessionHeader = "Mcp-Session-Id"

// maxSession bounds what a client may send as one.
const maxSession = 128

// call is what is known of one request.
type call struct {
	by          access.Actor
	workspaceID string
	session     string
	method      string
	id          json.RawMessage // of the request
	ctx         context.Context // ends with the HTTP request
	err         error           // why it cannot be answered
}

type callKey struct{}

// message is the part of a JSON-RPC message that is looked at here.
type message struct {
	Method string          `json:"method"`
	ID     json.RawMessage `json:"id"`
	Params struct {
		RequestID json.RawMessage `json:"requestId"`
	} `json:"params"`
}

// ServeMCP answers a POST of somebody who may read the workspace.
func (h *Handler) ServeMCP(w http.ResponseWriter, r *http.Request, by access.Actor, workspaceID string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, h.cfg.MaxBody+1))
	if err != nil {
		http.Error(w, "the body broke off", http.StatusBadRequest)
		return
	}
	var m message
	if json.Unmarshal(body, &m) != nil {
		m = message{} // the SDK says what is wrong with it
	}
	c := &call{by: by, workspaceID: workspaceID, session: r.Header.Get(sessionHeader), method: m.Method, id: m.ID, ctx: r.Context()}
	if len(c.session) > maxSession {
		c.session = ""
	}
	switch m.Method {
	case "initialize":
		w.Header().Set(sessionHeader, h.cfg.NewID())
	case "notifications/cancelled":
		h.cancelled(r.Context(), c, m.Params.RequestID)
	}
	r = r.Clone(context.WithValue(r.Context(), callKey{}, c))
	r.Body = io.NopCloser(bytes.NewReader(body))
	h.http.ServeHTTP(w, r)
}

// cancelTime bounds how long a cancellation may take. The client waits for no
// answer to it, and may be gone.
const cancelTime = 10 * time.Second

// cancelled ends the execution of a request, and tells whichever process waits
// for it: one that is gone, or that does not hear of it, must not keep it going.
func (h *Handler) cancelled(ctx context.Context, c *call, request json.RawMessage) {
	if c.session == "" || len(request) == 0 || len(request) > maxSession {
		return
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer done()
	id, err := h.shelf.Kept(ctx, owner(c), requestKey(c, request), time.Now())
	if err == nil {
		_, err = h.executions.Cancel(ctx, c.by, string(id))
	}
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Conflict) { // it has not begun, or is over
		h.cfg.Log.ErrorContext(ctx, "mcp cancellation failed", "execution_id", string(id), "error", err)
	}
	h.bus.Publish(ctx, event.Event{Room: event.MCPRoom(c.by.UserID, c.session), Type: event.MCPCancelled, Name: "cancelled", At: time.Now(), Data: request})
}

// keep puts down which execution answers a request.
func (h *Handler) keep(ctx context.Context, c *call, executionID string) error {
	if c.session == "" || len(c.id) > maxSession {
		return nil // it cannot be cancelled
	}
	return h.shelf.Keep(ctx, owner(c), requestKey(c, c.id), []byte(executionID), time.Now().Add(h.cfg.Longest))
}

func owner(c *call) string { return "mcp:" + c.by.UserID }

func requestKey(c *call, request json.RawMessage) string { return c.session + ":" + string(request) }

// server is what one request sees: no more of the studio than it asks for.
func (h *Handler) server(r *http.Request) *sdk.Server {
	c, ok := r.Context().Value(callKey{}).(*call)
	if !ok {
		return nil // nobody: answered 400
	}
	s := sdk.NewServer(&sdk.Implementation{Name: "agentstudio", Title: "Agent Studio", Version: h.cfg.Version}, &sdk.ServerOptions{
		Instructions: "Each tool runs a workflow and answers its output. agentstudio://executions/{id} tells how an execution went.",
		Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{ListChanged: true}, Resources: &sdk.ResourceCapabilities{}},
		// Later protocols have no initialization to hand out a session in, by which
		// requests are told apart: their clients come back to one of these.
		SupportedProtocolVersions: []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"},
		PageSize:                  1000,
	})
	s.AddReceivingMiddleware(func(next sdk.MethodHandler) sdk.MethodHandler {
		return func(ctx context.Context, method string, req sdk.Request) (sdk.Result, error) {
			if c.err != nil && method == c.method {
				return nil, h.refusal(ctx, c.err)
			}
			return next(ctx, method, req)
		}
	})
	switch c.method {
	case "tools/list", "tools/call":
		c.err = h.addTools(s, c)
	case "resources/list":
		c.err = h.addRecent(s, c)
	}
	s.AddResourceTemplate(&sdk.ResourceTemplate{URITemplate: executionURI + "{id}", Name: "execution", Title: "Execution", MIMEType: "application/json",
		Description: "How an execution of a workflow stands, and what it answered"}, h.readExecution(c))
	return s
}

var errInternal = errors.New("something went wrong on our side")
