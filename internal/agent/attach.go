package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
)

// Files are the files of workspaces, on behalf of a workspace whose run was
// allowed already.
type Files interface {
	// About returns what is known of a file: its path, the type that was found
	// from its content, and its bytes. NotFound.
	About(ctx context.Context, workspaceID, id string) (path, contentType string, size int64, err error)
	// Content returns it whole. NotFound; TooLarge.
	Content(ctx context.Context, workspaceID, id string) ([]byte, error)
}

// Bounds of what a model is shown.
const (
	maxFiles    = 20
	maxPicture  = 5 << 20  // bytes, as the strictest provider has it
	maxPDF      = 20 << 20 // bytes; a request has at most 32 MiB there, in base64
	maxText     = 1 << 20
	maxAttached = 22 << 20
	pageBytes   = 50_000 // of a PDF, about
)

// attached is a file as it was when the run began.
type attached struct {
	ID        string        `json:"id"`
	Path      string        `json:"path"`
	Type      llm.BlockType `json:"type"`
	MediaType string        `json:"media_type"`
	Size      int64         `json:"size"`
}

// attach finds the files that the conversation names, and refuses what the
// model cannot be shown before it is asked.
func (r *run) attach(ctx context.Context) error {
	var ids []string
	for _, m := range r.messages {
		for _, b := range m.Content {
			if b.FileID != "" && !slices.Contains(ids, b.FileID) {
				ids = append(ids, b.FileID)
			}
		}
	}
	if len(ids) > 0 {
		if err := r.recognise(ctx, ids); err != nil {
			return err
		}
	}
	if r.runner.blind == nil || !shows(r.messages) {
		return nil
	}
	if blind := r.runner.blind(r.settings.Models); len(blind) > 0 {
		return fault.New(fault.Invalid, "the model %s reads texts only, and %s is given pictures or documents: choose a model that sees, or leave them out", strings.Join(blind, ", "), r.title()).WithCode("no_vision")
	}
	return nil
}

// Showing is a prompt with files of the workspace, by their ids.
func Showing(files []string, prompt string) []llm.Block {
	blocks := make([]llm.Block, 0, len(files)+1)
	for _, id := range files {
		blocks = append(blocks, llm.Block{Type: llm.DocumentBlock, FileID: id})
	}
	return append(blocks, llm.Block{Type: llm.TextBlock, Text: prompt})
}

// shows reports whether there is anything a model needs eyes for.
func shows(messages []llm.Message) bool {
	for _, m := range messages {
		for _, b := range m.Content {
			if b.Type == llm.ImageBlock || b.Type == llm.DocumentBlock && !strings.HasPrefix(b.MediaType, "text/") {
				return true
			}
		}
	}
	return false
}

// recognise says of each block that names a file what it is.
func (r *run) recognise(ctx context.Context, ids []string) error {
	recorded, err := r.call.Step(ctx, node.Step{Name: r.prefix + "files", Kind: "files", Title: "Files"}, func(ctx context.Context) (node.StepResult, error) {
		found, err := r.runner.look(ctx, r.call.WorkspaceID, ids)
		return node.StepResult{Output: found}, err
	})
	if err != nil {
		return err
	}
	var found []attached
	if err := json.Unmarshal(recorded, &found); err != nil {
		return fmt.Errorf("read the recorded files: %w", err)
	}
	messages := slices.Clone(r.messages)
	for i, m := range messages {
		messages[i].Content = slices.Clone(m.Content)
		for j, b := range m.Content {
			at := slices.IndexFunc(found, func(f attached) bool { return f.ID == b.FileID })
			if b.FileID == "" || at < 0 {
				continue
			}
			f := found[at]
			messages[i].Content[j].Type, messages[i].Content[j].MediaType, messages[i].Content[j].Name = f.Type, f.MediaType, f.Path
		}
	}
	r.messages = messages
	for _, f := range found {
		r.shown += f.tokens() + 1
	}
	return nil
}

// tokens estimates what a file takes of the model's window.
func (f attached) tokens() int {
	switch {
	case f.Type == llm.ImageBlock:
		return imageTokens
	case strings.HasPrefix(f.MediaType, "text/"):
		return tokens(int(f.Size))
	}
	return imageTokens * (1 + int(f.Size/pageBytes))
}

// look finds files. Invalid: with everything that is wrong with them.
func (r *Runner) look(ctx context.Context, workspaceID string, ids []string) ([]attached, error) {
	if r.files == nil {
		return nil, fault.New(fault.NotConfigured, "this studio keeps no files")
	}
	if len(ids) > maxFiles {
		return nil, fault.New(fault.Invalid, "a model is shown at most %d files at once, here are %d", maxFiles, len(ids)).WithCode("too_many_files")
	}
	var out []attached
	var faults []fault.Detail
	total := int64(0)
	for i, id := range ids {
		f := attached{ID: id}
		wrong := ""
		path, contentType, size, err := r.files.About(ctx, workspaceID, id)
		switch {
		case fault.Is(err, fault.NotFound):
			wrong = "there is no file " + id + " in this workspace: it was deleted, or its id is mistyped"
		case err != nil:
			return nil, err
		default:
			f.Path, f.Size = path, size
			wrong = f.is(contentType)
		}
		if wrong != "" {
			faults = append(faults, fault.Detail{Location: fmt.Sprintf("files[%d]", i), Code: "bad_file", Message: wrong, Value: id})
		}
		total += f.Size
		out = append(out, f)
	}
	if len(faults) == 0 && total > maxAttached {
		faults = append(faults, fault.Detail{Location: "files", Code: "too_large", Message: fmt.Sprintf("together the files have %d bytes, a model is shown at most %d MiB at once", total, maxAttached>>20)})
	}
	if len(faults) == 0 {
		return out, nil
	}
	var said []string
	for _, d := range faults {
		said = append(said, d.Message)
	}
	f := fault.InvalidInput(faults...).WithCode("bad_file")
	f.Message = strings.Join(said, "; ")
	return nil, f
}

// is says what a file of the content type is to a model; wrong, why it is
// nothing.
func (f *attached) is(contentType string) (wrong string) {
	media, _, _ := strings.Cut(contentType, ";")
	most := int64(0)
	switch {
	case media == "image/png", media == "image/jpeg", media == "image/gif", media == "image/webp":
		f.Type, f.MediaType, most = llm.ImageBlock, media, maxPicture
	case media == "application/pdf":
		f.Type, f.MediaType, most = llm.DocumentBlock, media, maxPDF
	case strings.HasPrefix(media, "text/"), media == "application/json":
		f.Type, f.MediaType, most = llm.DocumentBlock, "text/plain", maxText
	default:
		return fmt.Sprintf("%s is of the type %s, which models cannot be shown: PNG, JPEG, GIF, WebP, PDF and texts can", f.Path, media)
	}
	if f.Size == 0 {
		return f.Path + " is empty"
	}
	if f.Size > most {
		return fmt.Sprintf("%s has %d bytes, a model is shown at most %d MiB of its type", f.Path, f.Size, most>>20)
	}
	return ""
}

// loaded is a conversation with the contents of its files. They are read for
// each question and kept nowhere.
func (r *run) loaded(ctx context.Context, messages []llm.Message) ([]llm.Message, error) {
	if r.shown == 0 {
		return messages, nil
	}
	contents := map[string][]byte{}
	out := slices.Clone(messages)
	for i, m := range messages {
		if !slices.ContainsFunc(m.Content, func(b llm.Block) bool { return b.FileID != "" }) {
			continue
		}
		out[i].Content = slices.Clone(m.Content)
		for j, b := range m.Content {
			if b.FileID == "" {
				continue
			}
			if _, known := contents[b.FileID]; !known {
				content, err := r.runner.files.Content(ctx, r.call.WorkspaceID, b.FileID)
				if fault.Is(err, fault.NotFound) {
					return nil, fault.New(fault.Invalid, "the file %s was deleted while %s worked with it", b.Name, r.title()).WithCode("bad_file")
				}
				if err != nil {
					return nil, err
				}
				contents[b.FileID] = content
			}
			out[i].Content[j].Data = contents[b.FileID]
		}
	}
	return out, nil
}
