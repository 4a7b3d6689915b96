package file_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/blob"
	"agentstudio/internal/blob/blobtest"
	"agentstudio/internal/fault"
	"agentstudio/internal/file"
	"agentstudio/internal/file/filetest"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/workspace"
)

// room is the files of the workspace w1 and what is beneath them.
type room struct {
	*file.Service
	t       *testing.T
	db      *store.DB
	content *flaky
	folder  string
	mu      sync.Mutex
	now     time.Time
	by      access.Actor
}

func newRoom(t *testing.T, db *store.DB, content file.Content, folder string, cfg file.Config) *room {
	filetest.Workspace(t, db, "w1")
	r := &room{t: t, db: db, content: &flaky{Content: content}, folder: folder, now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC),
		by: access.Actor{UserID: "w1", Roles: map[string]access.Role{"w1": access.Editor}}}
	cfg.NewID, cfg.Now = filetest.IDs(), r.time
	r.Service = file.NewService(store.NewFiles(db), r.content, cfg)
	return r
}

func (r *room) time() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *room) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// rooms runs a test on both databases and both content stores.
func rooms(t *testing.T, cfg file.Config, test func(t *testing.T, r *room)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		dir := t.TempDir()
		test(t, newRoom(t, db, blob.NewDisk(dir), dir, cfg))
	})
	t.Run("s3", func(t *testing.T) {
		server := blobtest.Start(t)
		content, err := blob.NewS3(server.Config())
		if err != nil {
			t.Fatal(err)
		}
		test(t, newRoom(t, storetest.SQLite(t), content, server.Folder(), cfg))
	})
}

// flaky is a content store that can be told to fail.
type flaky struct {
	file.Content
	put, gone error
}

func (f *flaky) Put(ctx context.Context, key string, r io.Reader) error {
	if f.put != nil {
		_, _ = io.Copy(io.Discard, r) // it fails at the end
		return f.put
	}
	return f.Content.Put(ctx, key, r)
}

func (f *flaky) Delete(ctx context.Context, key string) error {
	if f.gone != nil {
		return f.gone
	}
	return f.Content.Delete(ctx, key)
}

// contents counts the contents that are stored, parts included.
func (r *room) contents() (n int) {
	r.t.Helper()
	err := filepath.WalkDir(r.folder, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *room) used() int64 {
	r.t.Helper()
	room, err := r.Room(r.t.Context(), r.by, "w1")
	if err != nil {
		r.t.Fatal(err)
	}
	return room.Used
}

func (r *room) upload(name, text string) *file.File {
	r.t.Helper()
	f, err := r.Upload(r.t.Context(), r.by, file.Upload{WorkspaceID: "w1", Path: name, Content: strings.NewReader(text)})
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

func (r *room) text(id string) string {
	r.t.Helper()
	_, content, err := r.Open(r.t.Context(), r.by, id)
	if err != nil {
		r.t.Fatal(err)
	}
	defer content.Close()
	text, err := io.ReadAll(content)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func TestAFileIsKeptWithWhatItIs(t *testing.T) {
	rooms(t, file.Config{}, func(t *testing.T, r *room) {
		text := "a,b\n1,2\n3,4\n"
		f := r.upload("/tables/one.txt", text)
		sum := sha256.Sum256([]byte(text))
		if f.Path != "tables/one.txt" || f.Name() != "one.txt" || f.Size != 12 || f.SHA256 != hex.EncodeToString(sum[:]) || !strings.HasPrefix(f.ContentType, "text/csv") || f.UserID != "w1" {
			t.Errorf("got %+v", f)
		}
		if got := r.text(f.ID); got != text {
			t.Errorf("read %q", got)
		}
		if whole, err := r.Paths().Read(t.Context(), "w1", "tables/one.txt"); err != nil || string(whole) != text {
			t.Errorf("a run reads %q, %v", whole, err)
		}
		made, err := r.Paths().Write(t.Context(), file.Maker{WorkspaceID: "w1", UserID: "w1", ExecutionID: "x", NodeID: "n"}, "tables/two.txt", []byte("more"))
		if err != nil {
			t.Fatal(err)
		}
		if seen, err := r.Find(t.Context(), r.by, made.ID); err != nil || seen.ExecutionID != "x" || seen.NodeID != "n" {
			t.Errorf("of a run: %+v, %v", seen, err)
		}
		if n := r.used(); n != 16 {
			t.Errorf("the files take %d bytes", n)
		}
		for _, id := range []string{f.ID, made.ID} {
			if err := r.Delete(t.Context(), r.by, id); err != nil {
				t.Error(err)
			}
		}
		if r.used() != 0 || r.contents() != 0 {
			t.Errorf("left behind: %d bytes in %d contents", r.used(), r.contents())
		}
	})
}

func TestAPathIsTakenOnce(t *testing.T) {
	rooms(t, file.Config{}, func(t *testing.T, r *room) {
		f := r.upload("a.txt", "one")
		again := file.Upload{WorkspaceID: "w1", Path: "a.txt", Content: strings.NewReader("three")}
		if _, err := r.Upload(t.Context(), r.by, again); !fault.Is(err, fault.Conflict) || fault.As(err).Code != "path_taken" {
			t.Errorf("took a path twice: %v", err)
		}
		again.Content, again.Replace = strings.NewReader("three"), true
		kept, err := r.Upload(t.Context(), r.by, again)
		if err != nil || kept.ID != f.ID || !kept.CreatedAt.Equal(f.CreatedAt) || kept.Size != 5 {
			t.Fatalf("got %+v, %v", kept, err)
		}
		if r.text(f.ID) != "three" || r.contents() != 1 || r.used() != 5 {
			t.Errorf("%q in %d contents of %d bytes", r.text(f.ID), r.contents(), r.used())
		}
	})
}

func TestOfUploadsToOnePathAtOnceOneIsKept(t *testing.T) {
	rooms(t, file.Config{}, func(t *testing.T, r *room) {
		var all sync.WaitGroup
		kept := make([]error, 8)
		for i := range kept {
			all.Go(func() {
				_, kept[i] = r.Upload(t.Context(), r.by, file.Upload{WorkspaceID: "w1", Path: "a.txt", Content: strings.NewReader("text")})
			})
		}
		all.Wait()
		n := 0
		for _, err := range kept {
			if err == nil {
				n++
			} else if !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		}
		if n != 1 || r.contents() != 1 || r.used() != 4 {
			t.Errorf("%d were kept, in %d contents of %d bytes", n, r.contents(), r.used())
		}
	})
}

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, errors.New("the line is dead") }

func TestACutUploadLeavesNothing(t *testing.T) {
	rooms(t, file.Config{MaxUpload: 30 << 20}, func(t *testing.T, r *room) {
		for name, content := range map[string]io.Reader{
			"at once":   cut{},
			"in a head": io.MultiReader(strings.NewReader("abc"), cut{}),
			"in a part": io.MultiReader(bytes.NewReader(make([]byte, 5000)), cut{}),
			"later":     io.MultiReader(strings.NewReader(strings.Repeat("text ", 4<<20)), cut{}),
			"too large": strings.NewReader(strings.Repeat("text ", 7<<20)),
		} {
			if _, err := r.Upload(t.Context(), r.by, file.Upload{WorkspaceID: "w1", Path: "a.txt", Declared: 1000, Content: content}); err == nil {
				t.Errorf("%s: kept", name)
			}
		}
		r.content.put = errors.New("the disk broke")
		if _, err := r.Upload(t.Context(), r.by, file.Upload{WorkspaceID: "w1", Path: "a.txt", Declared: 1000, Content: strings.NewReader("text")}); err == nil {
			t.Error("kept on a broken disk")
		}
		files, total, err := r.List(t.Context(), r.by, "w1", file.Filter{Limit: 10})
		if err != nil || total != 0 || len(files) != 0 || r.contents() != 0 || r.used() != 0 {
			t.Errorf("left: %v, %d contents, %d bytes (%v)", files, r.contents(), r.used(), err)
		}
	})
}

// A process that dies in an upload, or a content store that is away just when
// something is to be removed: the sweep takes what they leave.
func TestWhatIsLeftIsSwept(t *testing.T) {
	rooms(t, file.Config{}, func(t *testing.T, r *room) {
		f := r.upload("a.txt", "one")
		r.content.gone = errors.New("away")
		if err := r.Delete(t.Context(), r.by, f.ID); err != nil {
			t.Fatal(err)
		}
		// As a process leaves it that dies before the row.
		begun := file.Loose{Key: "w1/dead", WorkspaceID: "w1", Reserved: 70, Expires: r.time().Add(12 * time.Hour)}
		if _, err := store.NewFiles(r.db).Begin(t.Context(), begun, 0); err != nil {
			t.Fatal(err)
		}
		if err := r.content.Put(t.Context(), "w1/dead", strings.NewReader("half")); err != nil {
			t.Fatal(err)
		}
		if n := r.used(); n != 70 {
			t.Errorf("%d bytes are taken", n)
		}
		if _, err := r.Sweep(t.Context()); err == nil {
			t.Error("swept while the store is away")
		}
		r.content.gone = nil
		if n, err := r.Sweep(t.Context()); err != nil || n != 1 || r.contents() != 1 {
			t.Errorf("swept %d, %v: an upload under way is left alone", n, err)
		}
		r.pass(13 * time.Hour)
		if n, err := r.Sweep(t.Context()); err != nil || n != 1 || r.contents() != 0 || r.used() != 0 {
			t.Errorf("swept %d, %v; left %d contents, %d bytes", n, err, r.contents(), r.used())
		}
	})
}

func TestTheContentsOfADeletedWorkspaceGo(t *testing.T) {
	rooms(t, file.Config{}, func(t *testing.T, r *room) {
		r.upload("a.txt", "one")
		r.upload("b.txt", "two")
		if err := store.NewWorkspaces(r.db).Delete(t.Context(), "w1"); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Sweep(t.Context()); err != nil || n != 2 || r.contents() != 0 {
			t.Errorf("swept %d, %v; left %d", n, err, r.contents())
		}
	})
}

func TestBoundsAreToldEarly(t *testing.T) {
	rooms(t, file.Config{MaxUpload: 1000, Quota: 1500, Types: []string{"text/*", "application/pdf"}}, func(t *testing.T, r *room) {
		r.upload("kept.txt", strings.Repeat("a", 900))
		read := 0
		for name, c := range map[string]struct {
			in   file.Upload
			kind fault.Kind
			code string
			most int // bytes that are read before
		}{
			"declared over the largest file": {file.Upload{Path: "a", Declared: 1 << 20}, fault.TooLarge, "file_too_large", 0},
			"over the largest file":          {file.Upload{Path: "a"}, fault.Conflict, "quota", 4096}, // 600 are left, which is less
			"declared over the quota":        {file.Upload{Path: "a", Declared: 700}, fault.Conflict, "quota", 3072},
			"a path out of the workspace":    {file.Upload{Path: "../a"}, fault.Invalid, "bad_path", 0},
			"a path that is taken":           {file.Upload{Path: "kept.txt"}, fault.Conflict, "path_taken", 0},
		} {
			read = 0
			c.in.WorkspaceID, c.in.Content = "w1", counting{strings.NewReader(strings.Repeat("b", 1<<20)), &read}
			_, err := r.Upload(t.Context(), r.by, c.in)
			if f := fault.As(err); f == nil || f.Kind != c.kind || f.Code != c.code || read > c.most+64<<10 {
				t.Errorf("%s: %v, after %d bytes", name, err, read)
			}
		}
		for _, program := range []string{"\x7fELF\x02\x01\x01\x00" + strings.Repeat("\x00", 60), "MZ" + strings.Repeat("\x00", 62)} {
			_, err := r.Upload(t.Context(), r.by, file.Upload{WorkspaceID: "w1", Path: "report.pdf", Content: strings.NewReader(program)})
			if f := fault.As(err); f == nil || f.Code != "type_not_allowed" {
				t.Errorf("a program named report.pdf: %v", err)
			}
		}
		if _, err := r.Paths().Write(t.Context(), file.Maker{WorkspaceID: "w1"}, "of-a-run", make([]byte, 700)); !fault.Is(err, fault.Conflict) {
			t.Errorf("a run wrote past the quota: %v", err)
		}
		if n := r.used(); n != 900 {
			t.Errorf("%d bytes are taken", n)
		}
		r.upload("fits.txt", strings.Repeat("c", 600))
		// The new content is there beside the old one until it takes its place.
		if _, err := r.Paths().Write(t.Context(), file.Maker{WorkspaceID: "w1"}, "fits.txt", nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("a full workspace took a content before it gave one back: %v", err)
		}
	})
}

type counting struct {
	io.Reader
	n *int
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += n
	return n, err
}

func TestUploadsAtOnceStayInTheQuota(t *testing.T) {
	rooms(t, file.Config{Quota: 350}, func(t *testing.T, r *room) {
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				_, err := r.Upload(t.Context(), r.by, file.Upload{WorkspaceID: "w1", Path: strings.Repeat("n", i+1), Content: strings.NewReader(strings.Repeat("x", 100))})
				if err != nil && !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := r.used(); n != 300 || r.contents() != 3 {
			t.Errorf("%d bytes in %d contents", n, r.contents())
		}
	})
}

func TestOthersSeeNothing(t *testing.T) {
	r := newRoom(t, storetest.SQLite(t), blob.NewDisk(t.TempDir()), "", file.Config{})
	f := r.upload("a.txt", "one")
	stranger := access.Actor{UserID: "s", Roles: map[string]access.Role{"w2": access.Owner}}
	viewer := access.Actor{UserID: "v", Roles: map[string]access.Role{"w1": access.Viewer}}
	ctx := t.Context()
	for who, want := range map[*access.Actor]fault.Kind{&stranger: fault.NotFound, &viewer: fault.Forbidden} {
		_, upload := r.Upload(ctx, *who, file.Upload{WorkspaceID: "w1", Path: "b", Content: strings.NewReader("x")})
		_, _, share := r.Share(ctx, *who, f.ID, time.Hour)
		for name, err := range map[string]error{"upload": upload, "delete": r.Delete(ctx, *who, f.ID), "share": share} {
			if !fault.Is(err, want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
	if _, _, err := r.Open(ctx, stranger, f.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger opened it: %v", err)
	}
	if _, err := r.Find(ctx, viewer, f.ID); err != nil {
		t.Errorf("a viewer does not see it: %v", err)
	}
}

func TestListsAreChosenFrom(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		dir := t.TempDir()
		r := newRoom(t, db, blob.NewDisk(dir), dir, file.Config{})
		for _, name := range []string{"a/one.txt", "a/b/Two.TXT", "A/three.txt", "ab/four.txt", "a_b/five.txt", "100%.txt"} {
			r.upload(name, "text "+name)
		}
		if _, err := r.Paths().Write(t.Context(), file.Maker{WorkspaceID: "w1", ExecutionID: "x"}, "run.json", []byte(`{"a":1}`)); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			filter file.Filter
			want   string
		}{
			{file.Filter{Folder: "a"}, "a/b/Two.TXT a/one.txt"},
			{file.Filter{Folder: "a_b"}, "a_b/five.txt"},
			{file.Filter{Query: "two.txt"}, "a/b/Two.TXT"},
			{file.Filter{Query: "0%"}, "100%.txt"},
			{file.Filter{Query: "_"}, "a_b/five.txt"},
			{file.Filter{Type: "application/json"}, "run.json"},
			{file.Filter{ExecutionID: "x"}, "run.json"},
		} {
			c.filter.Sort, c.filter.Limit = "path", 10
			files, total, err := r.List(t.Context(), r.by, "w1", c.filter)
			var names []string
			for _, f := range files {
				names = append(names, f.Path)
			}
			if got := strings.Join(names, " "); err != nil || got != c.want || total != len(names) {
				t.Errorf("%+v: got %q of %d, %v; want %q", c.filter, got, total, err, c.want)
			}
		}
		if _, _, err := r.List(t.Context(), r.by, "w1", file.Filter{Sort: "color", Limit: 10}); !fault.Is(err, fault.Invalid) {
			t.Errorf("sorted by color: %v", err)
		}
		entries, err := r.Paths().List(t.Context(), "w1", "a/")
		if err != nil || len(entries) != 2 || entries[1].Path != "a/one.txt" {
			t.Errorf("a run lists %+v, %v", entries, err)
		}
	})
}

func TestLinksAreSignedAndEnd(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	old, fresh := []byte("old secret"), []byte("new secret")
	k := file.NewLinks([][]byte{old}).Sign("f", now.Add(time.Hour))
	links := file.NewLinks([][]byte{fresh, old})
	if err := links.Check(k, now); err != nil {
		t.Errorf("after a change of keys: %v", err)
	}
	if err := links.Check(k, now.Add(time.Hour)); !fault.Is(err, fault.Forbidden) {
		t.Errorf("at its end: %v", err)
	}
	for name, change := range map[string]func(*file.Link){
		"another file": func(k *file.Link) { k.FileID = "g" },
		"a later end":  func(k *file.Link) { k.Expires = k.Expires.Add(time.Second) },
		"no signature": func(k *file.Link) { k.Signature = "" },
		"half of it":   func(k *file.Link) { k.Signature = k.Signature[:20] },
		"no base64":    func(k *file.Link) { k.Signature = "%%%" },
		"another secret": func(k *file.Link) {
			k.Signature = file.NewLinks([][]byte{[]byte("other")}).Sign(k.FileID, k.Expires).Signature
		},
	} {
		changed := k
		change(&changed)
		if err := links.Check(changed, now); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A commit may be made although its answer is lost: the content is the file's
// then, and must not go.
func TestAContentThatAFileHasIsNotCleared(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		dir := t.TempDir()
		r := newRoom(t, db, blob.NewDisk(dir), dir, file.Config{})
		lost := file.NewService(unanswered{store.NewFiles(db)}, r.content, file.Config{NewID: filetest.IDs()})
		if _, err := lost.Upload(t.Context(), r.by, file.Upload{WorkspaceID: "w1", Path: "a.txt", Content: strings.NewReader("kept")}); err == nil {
			t.Fatal("the answer was not lost")
		}
		files, _, err := r.List(t.Context(), r.by, "w1", file.Filter{Limit: 1})
		if err != nil || len(files) != 1 || r.text(files[0].ID) != "kept" {
			t.Errorf("got %v, %v", files, err)
		}
	})
}

// unanswered keeps a file and loses the answer.
type unanswered struct{ *store.Files }

func (u unanswered) Keep(ctx context.Context, f file.File, replace bool, quota int64, act *workspace.Activity) (file.File, string, error) {
	if _, _, err := u.Files.Keep(ctx, f, replace, quota, act); err != nil {
		return f, "", err
	}
	return f, "", sql.ErrConnDone
}
