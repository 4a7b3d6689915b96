package trigger

import (
	"context"
	"encoding/json"
	"path"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/execution"
	"agentstudio/internal/node"
)

// Listeners are the rows of what published workflows listen for.
type Listeners interface {
	Listeners(ctx context.Context, workspaceID, event string) ([]execution.Listening, error)
}

// fileData is what a workflow reads as trigger.
type fileData struct {
	Event       string `json:"event"`
	Path        string `json:"path"`
	Name        string `json:"name"`
	Folder      string `json:"folder"`
	ExecutionID string `json:"execution_id,omitempty"` // the one that wrote it
}

// FileArrived starts the workflows that wait for a file of this path. Call it
// once the file is in its place: when it returns without error, their
// executions are committed. Calling it again with the same Key starts nothing
// again. A workflow is never started by a file that an execution of its own
// has written, and none is below a depth of execution.MaxChain.
func (r *Runner) FileArrived(ctx context.Context, f node.FileArrival) error {
	if f.Depth >= execution.MaxChain {
		r.cfg.Log.Warn("a file starts nothing: executions start one another too deep", "workspace_id", f.WorkspaceID, "path", f.Path, "execution_id", f.ExecutionID)
		return nil
	}
	listening, err := r.store.Listeners(ctx, f.WorkspaceID, node.FileArrived)
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(path.Clean("/"+f.Path), "/")
	data, err := json.Marshal(fileData{Event: node.FileArrived, Path: name, Name: path.Base(name), Folder: strings.TrimPrefix(path.Dir("/"+name), "/"), ExecutionID: f.ExecutionID})
	if err != nil {
		return err
	}
	for _, l := range listening {
		if l.WorkflowID == f.WorkflowID || !node.MatchPath(l.Subject, name) {
			continue
		}
		in := execution.StartInput{WorkspaceID: f.WorkspaceID, WorkflowID: l.WorkflowID, Version: l.Version, TriggerType: "file", StartNode: l.NodeID, TriggerData: data, ParentID: f.ExecutionID}
		if f.ExecutionID != "" {
			in.Depth = f.Depth + 1
		}
		if f.Key != "" {
			in.Once = "file " + l.ID + " " + f.Key
		}
		_, _, err := r.executions.Start(ctx, access.SystemActor("file"), in)
		if lasting(err) {
			r.cfg.Log.Error("workflow cannot be started by a file", "workflow_id", l.WorkflowID, "path", name, "error", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
