package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/workspace"
)

// longest is how long one content may take to be written. What is not kept
// after twice the time is swept.
const longest = 6 * time.Hour

// writing is a content on its way to become a file's.
type writing struct {
	content io.Reader
	most    int64
	reserve int64
	replace bool
	by      *access.Actor // whose activity it is; nil: a run's, which keeps its own
}

// keep writes the content, then the row that has it. Whatever fails in between
// leaves neither: the content is noted as loose before its first byte.
func (s *Service) keep(ctx context.Context, f File, w writing) (_ *File, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	f.ContentKey = f.WorkspaceID + "/" + s.cfg.NewID()
	left, err := s.store.Begin(ctx, Loose{Key: f.ContentKey, WorkspaceID: f.WorkspaceID, Reserved: w.reserve, Expires: s.now().Add(2 * longest)}, s.cfg.Quota)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.clear(ctx, f.ContentKey)
		}
	}()
	m := &measured{r: w.content, sum: sha256.New(), most: w.most, over: s.tooLarge(w.most)}
	if s.cfg.Quota > 0 && left < w.most {
		m.most, m.over = left, Full(s.cfg.Quota)
	}
	if err := s.content.Put(ctx, f.ContentKey, m); err != nil {
		if m.err != nil {
			return nil, m.err // its reader's: it says why
		}
		return nil, err
	}
	now := s.now()
	f.ID, f.Size, f.SHA256, f.CreatedAt, f.UpdatedAt = s.cfg.NewID(), m.n, hex.EncodeToString(m.sum.Sum(nil)), now, now
	var act *workspace.Activity
	if w.by != nil {
		made := workspace.NewActivity(*w.by, f.WorkspaceID, "file.uploaded", "file", f.ID, nil, summary(&f), now)
		act = &made
	}
	kept, replaced, err := s.store.Keep(ctx, f, w.replace, s.cfg.Quota, act)
	if err != nil {
		return nil, err
	}
	if replaced != "" {
		s.clear(ctx, replaced)
	}
	return &kept, nil
}

// measured counts and sums what is read, and fails when it is over its bound.
type measured struct {
	r    io.Reader
	sum  hash.Hash
	n    int64
	most int64
	over error
	err  error // what ended the reading, but its end
}

func (m *measured) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	m.sum.Write(p[:n]) // a hash takes everything
	if m.n > m.most {
		err = m.over
	}
	if err != nil && err != io.EOF { //nolint:errorlint // readers end with io.EOF itself
		m.err = err
	}
	return n, err
}

// clearTime bounds the removal of a content.
const clearTime = 30 * time.Second

// clear removes a loose content, also when the caller is gone. What cannot be
// removed now is swept later. It asks first: a commit that seemed to fail may
// have been made.
func (s *Service) clear(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTime)
	defer cancel()
	loose, err := s.store.Doom(ctx, key)
	if err == nil && loose {
		if err = s.content.Delete(ctx, key); err == nil {
			err = s.store.Forget(ctx, key)
		}
	}
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "content not removed yet", "key", key, "error", err)
	}
}

// sweepStep is how many contents are removed between two looks.
const sweepStep = 100

// Sweep removes every content that nobody will have any more: of uploads that
// were cut off together with their process, of files and workspaces that are
// deleted. It returns how many. Several processes may sweep at once.
func (s *Service) Sweep(ctx context.Context) (removed int, err error) {
	for {
		keys, err := s.store.Loose(ctx, s.now(), sweepStep)
		if err != nil || len(keys) == 0 {
			return removed, err
		}
		for _, key := range keys {
			if err := s.content.Delete(ctx, key); err != nil {
				return removed, fmt.Errorf("sweep content %s: %w", key, err)
			}
			if err := s.store.Forget(ctx, key); err != nil {
				return removed, err
			}
			removed++
		}
	}
}

// size writes a number of bytes for people.
func size(n int64) string {
	for _, u := range []struct {
		shift uint
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n >= 1<<u.shift {
			whole := float64(n) / float64(int64(1)<<u.shift)
			if whole == float64(int64(whole)) {
				return fmt.Sprintf("%d %s", int64(whole), u.name)
			}
			return fmt.Sprintf("%.1f %s", whole, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
