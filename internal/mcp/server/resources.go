package server

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"

	"github.com/google/uuid"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

const executionURI = "agentstudio://executions/"

// recent is how many executions are listed; every one can be read.
const recent = 50

// addRecent lists the executions that began last.
func (h *Handler) addRecent(s *sdk.Server, c *call) error {
	page, err := h.executions.List(c.ctx, c.by, c.workspaceID, execution.Filter{Limit: recent})
	if err != nil {
		return err
	}
	for _, x := range page.Items {
		s.AddResource(&sdk.Resource{URI: executionURI + x.ID, Name: x.WorkflowName, MIMEType: "application/json", Description: string(x.Status) + " execution, begun " + x.CreatedAt.UTC().Format(time.RFC3339)}, h.readExecution(c))
	}
	return nil
}

// shown is an execution as a resource.
type shown struct {
	ID           string           `json:"id"`
	WorkflowID   string           `json:"workflow_id"`
	WorkflowName string           `json:"workflow_name"`
	Version      int              `json:"workflow_version"`
	Status       execution.Status `json:"status"`
	TriggerType  string           `json:"trigger_type"`
	Progress     int              `json:"progress"`
	Input        json.RawMessage  `json:"input,omitempty"`
	Output       json.RawMessage  `json:"output,omitempty"`
	Error        *execution.Error `json:"error,omitempty"`
	CreatedAt    time.Time        `json:"created_at"`
	CompletedAt  *time.Time       `json:"completed_at,omitempty"`
}

// readExecution answers one execution. What is not there, or of another
// workspace, is not found.
func (h *Handler) readExecution(c *call) sdk.ResourceHandler {
	return func(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
		uri := req.Params.URI
		id := strings.TrimPrefix(uri, executionURI)
		if _, err := uuid.Parse(id); err != nil || len(id) != 36 {
			return nil, sdk.ResourceNotFoundError(uri)
		}
		x, err := h.executions.Find(ctx, c.by, id)
		if fault.Is(err, fault.NotFound) || err == nil && x.WorkspaceID != c.workspaceID {
			return nil, sdk.ResourceNotFoundError(uri)
		}
		if err != nil {
			return nil, h.refusal(ctx, err)
		}
		out := shown{ID: x.ID, WorkflowID: x.WorkflowID, WorkflowName: x.WorkflowName, Version: x.WorkflowVersion, Status: x.Status, TriggerType: x.TriggerType, Progress: x.Progress(),
			Input: x.TriggerData, Output: x.Output, Error: x.Error, CreatedAt: x.CreatedAt}
		if !x.CompletedAt.IsZero() {
			out.CompletedAt = &x.CompletedAt
		}
		text, err := json.Marshal(out)
		if err != nil {
			return nil, h.refusal(ctx, err)
		}
		return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: uri, MIMEType: "application/json", Text: string(text)}}}, nil
	}
}
