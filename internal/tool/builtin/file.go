package builtin

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"agentstudio/internal/fault"
	"agentstudio/internal/file"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

type filePathArgs struct {
	Path string `json:"path" jsonschema:"required,minLength=1,maxLength=512" jsonschema_description:"Path inside the workspace's files."`
}

type fileWriteArgs struct {
	Path    string `json:"path" jsonschema:"required,minLength=1,maxLength=512" jsonschema_description:"Path inside the workspace's files."`
	Content string `json:"content" jsonschema:"required" jsonschema_description:"The whole new content."`
}

type fileListArgs struct {
	Folder string `json:"folder,omitempty" jsonschema:"maxLength=512" jsonschema_description:"Only files below this folder; all when left out."`
}

// maker is for whom a call makes a file.
func maker(call tool.Call) file.Maker {
	return file.Maker{WorkspaceID: call.WorkspaceID, UserID: call.UserID, ExecutionID: call.ExecutionID, NodeID: call.NodeID}
}

func fileRead(files Files) tool.Tool {
	t := tool.Define(tool.Spec{Name: "file_read", Title: "Read a file", Category: "files", Risk: node.RiskLow, Restrictions: []string{readsOnly, inWorkspace},
		Description: "Reads a text file of the workspace."},
		func(ctx context.Context, call tool.Call, a filePathArgs) (tool.Result, error) {
			text, err := files.Read(ctx, call.WorkspaceID, a.Path)
			if err != nil {
				return tool.Result{}, err
			}
			if !utf8.Valid(text) {
				return tool.Result{}, fault.New(fault.Invalid, "%s is not a text file", a.Path)
			}
			return tool.Result{Text: clip(string(text), readable), Value: map[string]any{"path": a.Path, "content": string(text)}}, nil
		})
	return needs(t, files != nil, "file storage")
}

func fileWrite(files Files) tool.Tool {
	t := tool.Define(tool.Spec{Name: "file_write", Title: "Write a file", Category: "files", Risk: node.RiskMedium, Effect: true, Restrictions: []string{inWorkspace},
		Description: "Makes a text file in the workspace, or replaces it."},
		func(ctx context.Context, call tool.Call, a fileWriteArgs) (tool.Result, error) {
			kept, err := files.Write(ctx, maker(call), a.Path, []byte(a.Content))
			if err != nil {
				return tool.Result{}, err
			}
			return tool.Result{Text: fmt.Sprintf("Wrote %d bytes to %s.", kept.Size, kept.Path), Value: map[string]any{"path": kept.Path, "size": kept.Size, "file_id": kept.ID}}, nil
		})
	return needs(t, files != nil, "file storage")
}

func fileList(files Files) tool.Tool {
	t := tool.Define(tool.Spec{Name: "file_list", Title: "List files", Category: "files", Risk: node.RiskLow, Restrictions: []string{readsOnly, inWorkspace},
		Description: "Lists the files of the workspace with their sizes."},
		func(ctx context.Context, call tool.Call, a fileListArgs) (tool.Result, error) {
			found, err := files.List(ctx, call.WorkspaceID, a.Folder)
			if err != nil {
				return tool.Result{}, err
			}
			var b strings.Builder
			for _, f := range found {
				fmt.Fprintf(&b, "%s (%d bytes)\n", f.Path, f.Size)
			}
			if len(found) == 0 {
				b.WriteString("There are no files.")
			}
			return tool.Result{Text: b.String(), Value: map[string]any{"files": found}}, nil
		})
	return needs(t, files != nil, "file storage")
}

func fileDelete(files Files) tool.Tool {
	t := tool.Define(tool.Spec{Name: "file_delete", Title: "Delete a file", Category: "files", Risk: node.RiskHigh, Effect: true, Restrictions: []string{inWorkspace},
		Description: "Deletes a file of the workspace for good."},
		func(ctx context.Context, call tool.Call, a filePathArgs) (tool.Result, error) {
			err := files.Delete(ctx, call.WorkspaceID, a.Path)
			return tool.Result{Text: "Deleted " + a.Path + ".", Value: map[string]any{"path": a.Path}}, err
		})
	return needs(t, files != nil, "file storage")
}
