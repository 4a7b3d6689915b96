package file

import (
	"bytes"
	"context"
	"io"

	"agentstudio/internal/fault"
)

// Paths is the files of workspaces as runs use them: by path and whole, on
// behalf of a workspace whose run was allowed already.
type Paths struct{ s *Service }

// Paths returns the files as runs use them.
func (s *Service) Paths() *Paths { return &Paths{s} }

// Open returns a file and its content, which the caller closes. NotFound.
func (p *Paths) Open(ctx context.Context, workspaceID, name string) (*File, io.ReadSeekCloser, error) {
	clean, err := CleanPath(name)
	if err != nil {
		return nil, nil, err
	}
	for again := true; ; again = false {
		f, err := p.s.store.At(ctx, workspaceID, clean)
		if err != nil {
			if fault.Is(err, fault.NotFound) {
				return nil, nil, fault.Wrap(fault.NotFound, err, "there is no file %q", shown(name))
			}
			return nil, nil, err
		}
		found, content, err := p.s.open(ctx, &f)
		if again && fault.Is(err, fault.NotFound) {
			continue // it was replaced in between
		}
		return found, content, err
	}
}

// About returns what is known of the file of an id. NotFound.
func (p *Paths) About(ctx context.Context, workspaceID, id string) (name, contentType string, size int64, err error) {
	f, err := p.s.store.Find(ctx, workspaceID, id)
	return f.Path, f.ContentType, f.Size, err
}

// Content returns the content of the file of an id. NotFound; TooLarge.
func (p *Paths) Content(ctx context.Context, workspaceID, id string) ([]byte, error) {
	f, err := p.s.store.Find(ctx, workspaceID, id)
	if err != nil {
		return nil, err
	}
	found, r, err := p.s.open(ctx, &f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return p.whole(found, r)
}

// Read returns a file's content. NotFound: there is none; TooLarge.
func (p *Paths) Read(ctx context.Context, workspaceID, name string) (content []byte, err error) {
	f, r, err := p.Open(ctx, workspaceID, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return p.whole(f, r)
}

func (p *Paths) whole(f *File, r io.Reader) ([]byte, error) {
	if f.Size > p.s.cfg.MaxWhole {
		return nil, fault.New(fault.TooLarge, "%s is over %s: that is more than a run reads at once", shown(f.Path), size(p.s.cfg.MaxWhole))
	}
	content := make([]byte, f.Size)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the content of %s broke off", shown(f.Path))
	}
	return content, nil
}

// Write makes a file or replaces it, whole or not at all.
func (p *Paths) Write(ctx context.Context, m Maker, name string, content []byte) (*File, error) {
	clean, err := CleanPath(name)
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > p.s.cfg.MaxWhole {
		return nil, p.s.tooLarge(p.s.cfg.MaxWhole)
	}
	contentType, whole, err := detect(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	f := File{WorkspaceID: m.WorkspaceID, UserID: m.UserID, ExecutionID: m.ExecutionID, NodeID: m.NodeID, Path: clean, ContentType: contentType}
	return p.s.keep(ctx, f, writing{content: whole, most: p.s.cfg.MaxWhole, reserve: int64(len(content)), replace: true})
}

// maxList bounds a listing.
const maxList = 1_000

// List returns the files below a folder ("" is all), by path, at most 1,000.
func (p *Paths) List(ctx context.Context, workspaceID, folder string) ([]Entry, error) {
	if folder == "." || folder == "/" {
		folder = ""
	}
	if folder != "" {
		clean, err := CleanPath(trimEnd(folder))
		if err != nil {
			return nil, err
		}
		folder = clean
	}
	files, _, err := p.s.store.List(ctx, workspaceID, Filter{Folder: folder, Sort: "path", Limit: maxList})
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(files))
	for i := range files {
		out[i] = files[i].Entry()
	}
	return out, nil
}

func trimEnd(folder string) string {
	for len(folder) > 1 && folder[len(folder)-1] == '/' {
		folder = folder[:len(folder)-1]
	}
	return folder
}

// Delete removes a file. NotFound: there is none.
func (p *Paths) Delete(ctx context.Context, workspaceID, name string) error {
	clean, err := CleanPath(name)
	if err != nil {
		return err
	}
	f, err := p.s.store.At(ctx, workspaceID, clean)
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			return fault.Wrap(fault.NotFound, err, "there is no file %q", shown(name))
		}
		return err
	}
	key, err := p.s.store.Delete(ctx, workspaceID, f.ID, nil)
	if err == nil {
		p.s.clear(ctx, key)
	}
	return err
}
