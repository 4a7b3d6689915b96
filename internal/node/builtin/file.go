package builtin

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"path"
	"strings"
	"unicode/utf8"

	"agentstudio/internal/fault"
	stored "agentstudio/internal/file"
	"agentstudio/internal/node"
)

// Files keeps the files of workspaces.
type Files interface {
	Read(ctx context.Context, workspaceID, name string) ([]byte, error)
	Write(ctx context.Context, m stored.Maker, name string, content []byte) (*stored.File, error)
	List(ctx context.Context, workspaceID, folder string) ([]stored.Entry, error)
	Delete(ctx context.Context, workspaceID, name string) error
}

type fileConfig struct {
	Operation string `json:"operation" jsonschema:"required,title=Operation,enum=read,enum=write,enum=list,enum=delete"`
	Path      string `json:"path,omitempty" jsonschema:"title=Path,maxLength=512" jsonschema_description:"Inside the workspace's files: reports/today.json."`
	Content   any    `json:"content,omitempty" jsonschema:"title=Content" jsonschema_description:"What to write: text as it is, any other value as JSON."`
	Format    string `json:"format,omitempty" jsonschema:"title=Format,enum=auto,enum=text,enum=json,enum=csv,enum=base64,default=auto" jsonschema_description:"How to read it; auto goes by the name's ending."`
}

// Check finds operations without their path.
func (c fileConfig) Check() []fault.Detail {
	if c.Operation != "list" && c.Path == "" {
		return []fault.Detail{{Location: "path", Code: "missing_path", Message: "say which file to " + c.Operation}}
	}
	return nil
}

func file(files Files, arrived func(context.Context, node.FileArrival) error) node.Type {
	return node.Define(node.Spec{
		Kind: "file", Title: "File", Group: node.Action, Category: "data", Icon: "file",
		Description: "Reads, writes, lists or deletes a file of the workspace.",
		Effect:      true, Risk: node.RiskMedium,
		Docs: `Works on the workspace's own files; no path leads out of them. ` + "`read`" + ` answers ` + "`{path, content}`" + ` (JSON as a value, CSV as a list of objects by its first line), ` + "`write`" + ` answers ` + "`{path, size, file_id}`" + `, ` + "`delete`" + ` ` + "`{path}`" + `, ` + "`list`" + ` answers ` + "`{files: [{id, path, size, content_type, modified_at}]}`" + `.
A written file starts the workflows whose file trigger waits for its path, but never the one that wrote it.

` + "```yaml" + `
config: {operation: write, path: "invoices/{{ trigger.id }}.json", content: "{{ nodes.extract.output.data }}"}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg fileConfig) (node.Result, error) {
		if files == nil {
			return node.Result{}, fault.New(fault.NotConfigured, "this studio keeps no files")
		}
		switch cfg.Operation {
		case "write":
			text, err := cfg.text()
			if err != nil {
				return node.Result{}, err
			}
			kept, err := files.Write(ctx, stored.Maker{WorkspaceID: c.WorkspaceID, UserID: c.UserID, ExecutionID: c.ExecutionID, NodeID: c.NodeID}, cfg.Path, text)
			if err != nil {
				return node.Result{}, err
			}
			out := node.Output("", map[string]any{"path": cfg.Path, "size": len(text), "file_id": kept.ID})
			if arrived == nil {
				return out, nil
			}
			return out, arrived(ctx, node.FileArrival{WorkspaceID: c.WorkspaceID, Path: cfg.Path, Key: c.Key, WorkflowID: c.WorkflowID, ExecutionID: c.ExecutionID, Depth: c.Depth})
		case "delete":
			return node.Output("", map[string]any{"path": cfg.Path}), files.Delete(ctx, c.WorkspaceID, cfg.Path)
		case "list":
			found, err := files.List(ctx, c.WorkspaceID, cfg.Path)
			return node.Output("", map[string]any{"files": found}), err
		}
		text, err := files.Read(ctx, c.WorkspaceID, cfg.Path)
		if err != nil {
			return node.Result{}, err
		}
		content, err := cfg.parse(text)
		return node.Output("", map[string]any{"path": cfg.Path, "content": content}), err
	})
}

func (c fileConfig) text() ([]byte, error) {
	if s, isText := c.Content.(string); isText {
		return []byte(s), nil
	}
	return json.MarshalIndent(c.Content, "", "  ")
}

func (c fileConfig) parse(text []byte) (any, error) {
	format := c.Format
	if format == "" || format == "auto" {
		switch strings.ToLower(path.Ext(c.Path)) {
		case ".json":
			format = "json"
		case ".csv":
			format = "csv"
		default:
			format = "text"
			if !utf8.Valid(text) {
				format = "base64"
			}
		}
	}
	switch format {
	case "json":
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s is not JSON: %s", c.Path, err)
		}
		return v, nil
	case "csv":
		return c.rows(text)
	case "base64":
		return base64.StdEncoding.EncodeToString(text), nil
	}
	return strings.ToValidUTF8(string(text), "\uFFFD"), nil
}

// rows reads a table whose first line names the columns.
func (c fileConfig) rows(text []byte) (any, error) {
	lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(text), "\uFEFF"))).ReadAll()
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s is not a CSV table: %s", c.Path, err)
	}
	rows := []any{}
	for i, line := range lines {
		if i == 0 {
			continue
		}
		row := make(map[string]any, len(line))
		for j, cell := range line {
			row[lines[0][j]] = cell
		}
		rows = append(rows, row)
	}
	return rows, nil
}
