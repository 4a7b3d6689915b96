package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// wrapped is the argument that holds the data of a trigger which takes no
// object: arguments are objects.
const wrapped = "input"

// addTools offers the workflows of the caller's workspace.
func (h *Handler) addTools(s *sdk.Server, c *call) error {
	offers, err := h.workflows.Offered(c.ctx, c.by, c.workspaceID, "mcp")
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, o := range offers {
		name := toolName(o, taken)
		taken[name] = true
		schema, wraps := objectSchema(o.InputSchema)
		s.AddTool(&sdk.Tool{Name: name, Title: o.Name, Description: o.Description, InputSchema: schema,
			Meta: sdk.Meta{"agentstudio/workflow_id": o.WorkflowID, "agentstudio/version": o.Version}}, h.runs(c, o, wraps))
	}
	return nil
}

// toolName is the workflow's name as models can say it. Of two that would be
// called the same the older keeps it.
func toolName(o workflow.Offer, taken map[string]bool) string {
	words := strings.FieldsFunc(strings.ToLower(o.Name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
	name := strings.Join(words, "_")
	const longest, digits = 64, 6
	name = name[:min(len(name), longest-digits-1)]
	if name == "" || taken[name] {
		sum := sha256.Sum256([]byte(o.WorkflowID))
		name = strings.TrimLeft(name+"_"+hex.EncodeToString(sum[:])[:digits], "_")
	}
	return name
}

// objectSchema is the schema of a tool's arguments. wraps: the trigger's data
// is one of them.
func objectSchema(of map[string]any) (schema map[string]any, wraps bool) {
	switch {
	case len(of) == 0:
		return map[string]any{"type": "object"}, false
	case of["type"] == "object":
		return of, false
	case of["type"] == nil && of["properties"] != nil:
		out := map[string]any{"type": "object"}
		for k, v := range of {
			out[k] = v
		}
		return out, false
	}
	return map[string]any{"type": "object", "properties": map[string]any{wrapped: of}, "required": []any{wrapped}}, true
}

// runs answers a call of a workflow.
func (h *Handler) runs(c *call, o workflow.Offer, wraps bool) sdk.ToolHandler {
	return func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		in := execution.StartInput{WorkspaceID: c.workspaceID, WorkflowID: o.WorkflowID, Version: o.Version, TriggerType: "mcp", StartNode: o.NodeID,
			TriggerData: req.Params.Arguments, ID: h.cfg.NewID()}
		if wraps {
			var args map[string]json.RawMessage
			if err := json.Unmarshal(req.Params.Arguments, &args); err != nil {
				return failed("the arguments are no object"), nil //nolint:nilerr // told to the caller
			}
			in.TriggerData = args[wrapped]
		}
		if key, _ := req.Params.Meta["agentstudio/idempotency-key"].(string); key != "" {
			in.IdempotencyKey = "mcp:" + key
		}
		if err := h.keep(ctx, c, in.ID); err != nil {
			return nil, h.refusal(ctx, err)
		}
		w := h.watch(ctx, c, in.ID, req)
		x, err := h.executions.Run(w.ctx, c.by, in, false, h.cfg.Longest)
		if w.stop(c.ctx.Err() != nil && !fault.Is(context.Cause(c.ctx), fault.Unavailable)) {
			return h.cancel(ctx, c, in.ID)
		}
		if err != nil {
			return h.explain(ctx, err)
		}
		return answer(x), nil
	}
}

// cancel ends the execution of a call that nobody wants any more.
func (h *Handler) cancel(ctx context.Context, c *call, id string) (*sdk.CallToolResult, error) {
	x, err := h.executions.Cancel(context.WithoutCancel(ctx), c.by, id)
	if err != nil {
		return h.explain(ctx, err)
	}
	return answer(x), nil
}

// explain tells a failure to the model, where it can do something about it.
func (h *Handler) explain(ctx context.Context, err error) (*sdk.CallToolResult, error) {
	f := fault.As(err)
	if f == nil || f.Kind == fault.Internal {
		return nil, h.refusal(ctx, err)
	}
	text := f.Message
	for _, d := range f.Details {
		text += "\n- " + strings.TrimPrefix(strings.TrimPrefix(d.Location, "body."), "trigger_data.") + ": " + d.Message
	}
	return failed(text), nil
}

// refusal tells a failure to the client.
func (h *Handler) refusal(ctx context.Context, err error) error {
	f := fault.As(err)
	if f == nil || f.Kind == fault.Internal {
		if ctx.Err() == nil {
			h.cfg.Log.ErrorContext(ctx, "mcp request failed", "error", err)
		}
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: errInternal.Error()}
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: f.Message}
}

func failed(text string) *sdk.CallToolResult {
	return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: text}}}
}

// watcher tells a client how its call gets on, and hears when it is cancelled.
type watcher struct {
	ctx       context.Context // of the call: ends when it is cancelled, or its request
	cancel    context.CancelFunc
	sub       event.Subscription
	quit      chan struct{} // closed to end it
	over      chan struct{} // closed when it has ended
	cancelled bool          // read after over
}

// lastWord is how long a client that has hung up may take to say that it has
// cancelled its request: it does both at once.
const lastWord = 5 * time.Second

// watch follows an execution. What is told in ctx, which is the request's to the
// SDK, goes to whoever asked.
func (h *Handler) watch(ctx context.Context, c *call, executionID string, req *sdk.CallToolRequest) *watcher {
	rooms := []string{event.ExecutionRoom(executionID)}
	if c.session != "" {
		rooms = append(rooms, event.MCPRoom(c.by.UserID, c.session))
	}
	w := &watcher{sub: h.bus.Subscribe(rooms...), quit: make(chan struct{}), over: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(c.ctx)
	go w.run(ctx, c, req)
	return w
}

func (w *watcher) run(ctx context.Context, c *call, req *sdk.CallToolRequest) {
	defer close(w.over)
	done := 0.0
	for {
		select {
		case <-w.quit:
			return
		case e, open := <-w.sub.C():
			switch {
			case !open:
				return
			case e.Type == event.MCPCancelled && string(e.Data) == string(c.id):
				w.cancelled = true
				w.cancel()
				return
			case e.Type == event.NodeUpdate:
				w.progress(ctx, req, e, &done)
			}
		}
	}
}

// progress tells of a node that has begun or ended. Each is a step further.
func (*watcher) progress(ctx context.Context, req *sdk.CallToolRequest, e *event.Event, done *float64) {
	token := req.Params.GetProgressToken()
	var node struct {
		Name   string `json:"node_name"`
		ID     string `json:"node_id"`
		Status string `json:"status"`
	}
	if token == nil || json.Unmarshal(e.Data, &node) != nil {
		return
	}
	if node.Name == "" {
		node.Name = node.ID
	}
	*done++
	_ = req.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: *done, Message: node.Name + ": " + node.Status}) // the client may be gone
}

// stop ends the watch, and reports whether the client has cancelled the call.
// hungUp: it is gone, and may still say so.
func (w *watcher) stop(hungUp bool) bool {
	if hungUp {
		timer := time.NewTimer(lastWord)
		defer timer.Stop()
		select {
		case <-w.over:
		case <-timer.C:
		}
	}
	close(w.quit)
	<-w.over
	w.cancel()
	w.sub.Close()
	return w.cancelled
}
