package file

import (
	"context"
	"io"
	"log/slog"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/workspace"
)

// Store keeps what is known of files. Every method is one transaction; what is
// not there is a fault.NotFound.
type Store interface {
	// Begin notes a content before its first byte is written, and takes room for
	// it. Conflict, code quota: so much is not left. left is what the content may
	// come to.
	Begin(ctx context.Context, c Loose, quota int64) (left int64, err error)
	// Keep makes a content that was begun the one of the file of its path, and
	// lets go of the one before, which is returned as replaced and is loose from
	// then on. The file that is returned has the id of the one before. Conflict,
	// code path_taken: there is one and replace is false; code quota.
	Keep(ctx context.Context, f File, replace bool, quota int64, act *workspace.Activity) (kept File, replaced string, err error)
	// Doom ends the time of a content and reports whether it is loose: one that a
	// file has is not.
	Doom(ctx context.Context, key string) (loose bool, err error)
	// Forget ends what is known of a loose content, and gives its room back.
	Forget(ctx context.Context, key string) error
	// Loose returns contents whose time is over.
	Loose(ctx context.Context, now time.Time, limit int) ([]string, error)
	Workspace(ctx context.Context, id string) (workspaceID string, err error)
	Find(ctx context.Context, workspaceID, id string) (File, error)
	At(ctx context.Context, workspaceID, path string) (File, error)
	// List returns a page, and how many match in all.
	List(ctx context.Context, workspaceID string, f Filter) ([]File, int, error)
	// Delete removes the file; its content is loose from then on.
	Delete(ctx context.Context, workspaceID, id string, act *workspace.Activity) (key string, err error)
	// Note keeps an activity alone.
	Note(ctx context.Context, act workspace.Activity) error
	Used(ctx context.Context, workspaceID string) (int64, error)
}

// Loose is a content that no file has.
type Loose struct {
	Key         string
	WorkspaceID string
	Reserved    int64
	Expires     time.Time
}

// Content keeps bytes by key. Implementations are safe for concurrent use.
type Content interface {
	// Put keeps everything r gives under a new key, whole or not at all.
	Put(ctx context.Context, key string, r io.Reader) error
	// Open reads; seeking costs nothing until the next read. NotFound: there is
	// no such content.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, error)
	// Delete removes the content, and what a Put that was cut off left of it. It
	// is no fault when there is none.
	Delete(ctx context.Context, key string) error
}

// Config adjusts a Service. NewID must be set.
type Config struct {
	NewID     func() string
	Now       func() time.Time
	MaxUpload int64    // bytes of an uploaded file; 10 MiB
	MaxWhole  int64    // bytes of a file that runs read or write; 32 MiB
	Quota     int64    // bytes of a workspace's files; 0: no bound
	Types     []string // that may be uploaded: application/pdf, image/*; empty: all
	// Arrived hears of files that were uploaded; nil: nobody listens.
	Arrived func(ctx context.Context, f File) error
	Log     *slog.Logger
}

// Service holds the use cases of files. It is safe for concurrent use.
type Service struct {
	store   Store
	content Content
	cfg     Config
}

// NewService returns the use cases.
func NewService(store Store, content Content, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxUpload <= 0 {
		cfg.MaxUpload = 10 << 20
	}
	if cfg.MaxWhole <= 0 {
		cfg.MaxWhole = 32 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: store, content: content, cfg: cfg}
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// MaxUpload returns the bytes an uploaded file may have.
func (s *Service) MaxUpload() int64 { return s.cfg.MaxUpload }

// Upload is a file that somebody sends.
type Upload struct {
	WorkspaceID string
	Path        string
	// Replace puts it in the place of the one that is there.
	Replace bool
	// Declared is how many bytes are said to come at most; 0: nobody said.
	Declared int64
	Content  io.Reader
}

// Upload keeps a file, whole or not at all; it is never in memory whole.
// TooLarge, Conflict (code path_taken or quota) and Invalid (code
// type_not_allowed, bad_path) are told as early as they are known.
func (s *Service) Upload(ctx context.Context, by access.Actor, in Upload) (*File, error) {
	if err := by.Need(in.WorkspaceID, access.UseTools); err != nil {
		return nil, err
	}
	name, err := CleanPath(in.Path)
	if err != nil {
		return nil, err
	}
	if in.Declared > s.cfg.MaxUpload+maxForm {
		return nil, s.tooLarge(s.cfg.MaxUpload)
	}
	if !in.Replace {
		if err := s.free(ctx, in.WorkspaceID, name); err != nil {
			return nil, err
		}
	}
	contentType, whole, err := detect(in.Content)
	if err != nil {
		return nil, err
	}
	if err := s.checkType(contentType); err != nil {
		return nil, err
	}
	f := File{WorkspaceID: in.WorkspaceID, UserID: by.UserID, Path: name, ContentType: contentType}
	kept, err := s.keep(ctx, f, writing{content: whole, most: s.cfg.MaxUpload, reserve: min(in.Declared, s.cfg.MaxUpload), replace: in.Replace, by: &by})
	if err != nil {
		return nil, err
	}
	if s.cfg.Arrived != nil {
		if err := s.cfg.Arrived(context.WithoutCancel(ctx), *kept); err != nil {
			return nil, fault.Wrap(fault.Unavailable, err, "the file %s is stored, but the workflows that wait for it could not be started: upload it again with replace=true", name).WithCode("not_announced")
		}
	}
	return kept, nil
}

// maxForm is what a form may add to the bytes of its file.
const maxForm = 64 << 10

func (s *Service) tooLarge(most int64) error {
	return fault.New(fault.TooLarge, "a file has at most %s here", size(most)).WithCode("file_too_large")
}

func (s *Service) free(ctx context.Context, workspaceID, name string) error {
	_, err := s.store.At(ctx, workspaceID, name)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return Taken(name)
}

// Taken says that there is a file of the path.
func Taken(name string) error {
	return fault.New(fault.Conflict, "there is a file %s already: choose another path, or replace it with replace=true", shown(name)).WithCode("path_taken")
}

// Full says that a workspace has no room.
func Full(quota int64) error {
	return fault.New(fault.Conflict, "the files of this workspace may take %s together, and so much is not left: delete some first", size(quota)).WithCode("quota")
}

func (s *Service) load(ctx context.Context, by access.Actor, id string, p access.Permission) (*File, error) {
	ws, err := s.store.Workspace(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := by.Need(ws, p); err != nil {
		return nil, err
	}
	f, err := s.store.Find(ctx, ws, id)
	return &f, err
}

// Find returns what is known of a file.
func (s *Service) Find(ctx context.Context, by access.Actor, id string) (*File, error) {
	return s.load(ctx, by, id, access.Read)
}

// List returns files of a workspace, and how many match in all.
func (s *Service) List(ctx context.Context, by access.Actor, workspaceID string, f Filter) ([]File, int, error) {
	if err := by.Need(workspaceID, access.Read); err != nil {
		return nil, 0, err
	}
	return s.store.List(ctx, workspaceID, f)
}

// Room is what the files of a workspace take.
type Room struct {
	Used  int64
	Quota int64 // 0: no bound
}

// Room returns what the files of a workspace take, those being uploaded included.
func (s *Service) Room(ctx context.Context, by access.Actor, workspaceID string) (Room, error) {
	if err := by.Need(workspaceID, access.Read); err != nil {
		return Room{}, err
	}
	used, err := s.store.Used(ctx, workspaceID)
	return Room{Used: used, Quota: s.cfg.Quota}, err
}

// Open returns a file and its content, which the caller closes.
func (s *Service) Open(ctx context.Context, by access.Actor, id string) (*File, io.ReadSeekCloser, error) {
	f, err := s.load(ctx, by, id, access.Read)
	if err != nil {
		return nil, nil, err
	}
	return s.open(ctx, f)
}

func (s *Service) open(ctx context.Context, f *File) (*File, io.ReadSeekCloser, error) {
	r, err := s.content.Open(ctx, f.ContentKey)
	return f, r, err
}

// Delete removes a file.
func (s *Service) Delete(ctx context.Context, by access.Actor, id string) error {
	f, err := s.load(ctx, by, id, access.UseTools)
	if err != nil {
		return err
	}
	act := workspace.NewActivity(by, f.WorkspaceID, "file.deleted", "file", f.ID, summary(f), nil, s.now())
	key, err := s.store.Delete(ctx, f.WorkspaceID, f.ID, &act)
	if err == nil {
		s.clear(ctx, key)
	}
	return err
}

func summary(f *File) map[string]any {
	return map[string]any{"path": f.Path, "size": f.Size, "sha256": f.SHA256}
}
