package file

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strconv"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/workspace"
)

// Links signs the addresses that give a file to whoever has them, until they
// expire. The first key signs, all are accepted.
type Links struct{ keys [][]byte }

// NewLinks returns links signed with keys derived from the secrets.
func NewLinks(secrets [][]byte) *Links {
	l := &Links{}
	for _, secret := range secrets {
		m := hmac.New(sha256.New, secret)
		m.Write([]byte("agentstudio file link"))
		l.keys = append(l.keys, m.Sum(nil))
	}
	return l
}

// Link is the right to read one file until a moment.
type Link struct {
	FileID    string
	Expires   time.Time
	Signature string
}

func sign(key []byte, fileID string, expires int64) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(fileID + "\n" + strconv.FormatInt(expires, 10)))
	return m.Sum(nil)
}

// Sign returns the link to a file.
func (l *Links) Sign(fileID string, expires time.Time) Link {
	sum := sign(l.keys[0], fileID, expires.Unix())
	return Link{FileID: fileID, Expires: expires, Signature: base64.RawURLEncoding.EncodeToString(sum)}
}

// Check says why a link gives nothing: NotFound when it is none of ours,
// Forbidden, code expired, when its time is over.
func (l *Links) Check(k Link, now time.Time) error {
	sum, err := base64.RawURLEncoding.DecodeString(k.Signature)
	for _, key := range l.keys {
		if err == nil && hmac.Equal(sum, sign(key, k.FileID, k.Expires.Unix())) {
			if !now.Before(k.Expires) {
				return fault.New(fault.Forbidden, "this link has expired: ask for a new one").WithCode("expired")
			}
			return nil
		}
	}
	return fault.New(fault.NotFound, "this link is not complete: copy the whole of it")
}

// The shortest and the longest time a link may last.
const (
	MinLink = time.Minute
	MaxLink = 7 * 24 * time.Hour
)

// Share notes that a file is given to whoever has a link, and returns the file
// and the end of the link. Invalid: the time is out of its bounds.
func (s *Service) Share(ctx context.Context, by access.Actor, id string, last time.Duration) (*File, time.Time, error) {
	f, err := s.load(ctx, by, id, access.UseTools)
	if err != nil {
		return nil, time.Time{}, err
	}
	if last < MinLink || last > MaxLink {
		return nil, time.Time{}, fault.InvalidInput(fault.Detail{Location: "body.expires_in", Code: "out_of_range", Message: "a link lasts between 60 seconds and 7 days (604800 seconds)"})
	}
	now := s.now()
	expires := now.Add(last).Truncate(time.Second)
	act := workspace.NewActivity(by, f.WorkspaceID, "file.shared", "file", f.ID, nil, map[string]any{"path": f.Path, "expires_at": expires}, now)
	return f, expires, s.store.Note(ctx, act)
}

// OpenLinked returns the file of a link that was checked, and its content,
// which the caller closes.
func (s *Service) OpenLinked(ctx context.Context, id string) (*File, io.ReadSeekCloser, error) {
	ws, err := s.store.Workspace(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	f, err := s.store.Find(ctx, ws, id)
	if err != nil {
		return nil, nil, err
	}
	return s.open(ctx, &f)
}
