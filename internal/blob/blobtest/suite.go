package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"agentstudio/internal/fault"
)

// Store is what every content store does.
type Store interface {
	Put(ctx context.Context, key string, r io.Reader) error
	Open(ctx context.Context, key string) (io.ReadSeekCloser, error)
	Delete(ctx context.Context, key string) error
}

// Run holds a store to its promises. folder is where its bytes are in the end.
func Run(t *testing.T, s Store, folder string) {
	for name, test := range map[string]func(*testing.T, Store, string){
		"what was put is read back":              readBack,
		"a content is read from any place":       ranges,
		"a content that breaks off is not there": brokenOff,
		"a key stays in the store":               keys,
		"deleting leaves nothing":                deleting,
		"many at once":                           many,
	} {
		t.Run(name, func(t *testing.T) { test(t, s, folder) })
	}
}

// some returns n bytes that no compression shortens.
func some(n int) []byte {
	out := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = r.Read(out) // never fails
	return out
}

// stream hides how long a content is.
type stream struct{ io.Reader }

func whole(t *testing.T, s Store, key string) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func readBack(t *testing.T, s Store, _ string) {
	for _, n := range []int{0, 1, 3 << 20, 5 << 20, 5<<20 + 1, 20 << 20} {
		want := some(n)
		key := fmt.Sprintf("w1/size-%d", n)
		if err := s.Put(t.Context(), key, stream{bytes.NewReader(want)}); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got := whole(t, s, key); !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d others", n, len(got))
		}
	}
	if _, err := s.Open(t.Context(), "w2/size-1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("opened what is not there: %v", err)
	}
}

func ranges(t *testing.T, s Store, _ string) {
	want := some(9 << 20)
	if err := s.Put(t.Context(), "w1/ranges", stream{bytes.NewReader(want)}); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), "w1/ranges")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := r.Seek(0, io.SeekEnd); err != nil || n != int64(len(want)) {
		t.Errorf("the end is at %d (%v)", n, err)
	}
	for _, at := range []int64{0, 5, 8 << 20, 9<<20 - 3, 100} {
		if n, err := r.Seek(at, io.SeekStart); err != nil || n != at {
			t.Fatalf("sought %d, came to %d (%v)", at, n, err)
		}
		got, err := io.ReadAll(io.LimitReader(r, 1000))
		if err != nil || !bytes.Equal(got, want[at:min(at+1000, int64(len(want)))]) {
			t.Errorf("read other bytes at %d (%v)", at, err)
		}
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("sought before the beginning")
	}
}

func brokenOff(t *testing.T, s Store, folder string) {
	cut := errors.New("the line is dead")
	for _, n := range []int{100, 20 << 20} {
		key := fmt.Sprintf("cut/size-%d", n)
		if err := s.Put(t.Context(), key, io.MultiReader(bytes.NewReader(some(n)), broken{cut})); !errors.Is(err, cut) {
			t.Errorf("%d bytes, then a broken line: %v", n, err)
		}
		if _, err := s.Open(t.Context(), key); !fault.Is(err, fault.NotFound) {
			t.Errorf("%d bytes of a broken line are there: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Put(ctx, "cut/cancelled", io.MultiReader(bytes.NewReader(some(9<<20)), calling{cancel}, bytes.NewReader(some(9<<20))))
	if err == nil {
		t.Error("put what was cancelled")
	}
	for _, key := range []string{"cut/size-100", "cut/size-20971520", "cut/cancelled"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	if left := filesIn(t, folder); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// filesIn lists the files that are none of the workspace w1, the parts of
// uploads that the server keeps elsewhere included.
func filesIn(t *testing.T, folder string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() == "w1" {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

type calling struct{ do func() }

func (c calling) Read([]byte) (int, error) { c.do(); return 0, io.EOF }

func keys(t *testing.T, s Store, _ string) {
	for _, key := range []string{"", "a", "/a", "a/", "../a/b", "a/../b", "a/b/c", `a\b`, "a/b\x00", "./b", "w1/x.part"} {
		if err := s.Put(t.Context(), key, bytes.NewReader(nil)); err == nil {
			t.Errorf("put %q", key)
		}
		if r, err := s.Open(t.Context(), key); err == nil {
			_ = r.Close()
			t.Errorf("opened %q", key)
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("deleted %q", key)
		}
	}
}

func deleting(t *testing.T, s Store, folder string) {
	if err := s.Put(t.Context(), "gone/a", bytes.NewReader(some(10))); err != nil {
		t.Fatal(err)
	}
	for range 2 { // of none too
		if err := s.Delete(t.Context(), "gone/a"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Open(t.Context(), "gone/a"); !fault.Is(err, fault.NotFound) {
		t.Errorf("still there: %v", err)
	}
	if left := filesIn(t, folder); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func many(t *testing.T, s Store, _ string) {
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			key := fmt.Sprintf("w1/many-%d", i)
			if err := s.Put(t.Context(), key, stream{bytes.NewReader(some(1000 + i))}); err != nil {
				t.Error(err)
				return
			}
			r, err := s.Open(t.Context(), key)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, some(1000+i)) {
				t.Errorf("%s: other bytes (%v)", key, err)
			}
		})
	}
	all.Wait()
}
