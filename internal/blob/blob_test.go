package blob_test

import (
	"os"
	"path/filepath"
	"testing"

	"agentstudio/internal/blob"
	"agentstudio/internal/fault"
)

func TestFilesStayInTheirWorkspace(t *testing.T) {
	dir := t.TempDir()
	s := blob.New(filepath.Join(dir, "files"), 100)
	ctx := t.Context()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(ctx, "w1", "reports/a.txt", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(ctx, "w1", "/reports/a.txt", []byte("two")); err != nil {
		t.Fatal(err)
	}
	got, err := s.Read(ctx, "w1", "reports/a.txt")
	if err != nil || string(got) != "two" {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, err := s.Read(ctx, "w2", "reports/a.txt"); !fault.Is(err, fault.NotFound) {
		t.Errorf("another workspace read it: %v", err)
	}
	for _, name := range []string{"../w1/reports/a.txt", "../../secret", "/../x", "a/../../x", "a\\..\\b", "nul\x00"} {
		if _, err := s.Read(ctx, "w2", name); !fault.Is(err, fault.Invalid) {
			t.Errorf("read %q: %v", name, err)
		}
		if err := s.Write(ctx, "w2", name, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("write %q: %v", name, err)
		}
	}
	for _, workspace := range []string{"", "..", "a/b"} {
		if _, err := s.List(ctx, workspace, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("listed the workspace %q: %v", workspace, err)
		}
	}
}

func TestFilesAreListedAndDeleted(t *testing.T) {
	s := blob.New(t.TempDir(), 100)
	ctx := t.Context()
	for _, name := range []string{"b.txt", "a/x.txt"} {
		if err := s.Write(ctx, "w1", name, []byte("1234")); err != nil {
			t.Fatal(err)
		}
	}
	files, err := s.List(ctx, "w1", "")
	if err != nil || len(files) != 2 || files[0].Path != "a/x.txt" || files[1].Size != 4 {
		t.Fatalf("got %+v, %v", files, err)
	}
	if err := s.Delete(ctx, "w1", "b.txt"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "w1", "b.txt"); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	if files, err = s.List(ctx, "w1", "a"); err != nil || len(files) != 1 {
		t.Errorf("got %+v, %v", files, err)
	}
	if _, err := s.Read(ctx, "w1", "a"); !fault.Is(err, fault.Invalid) {
		t.Errorf("read a folder: %v", err)
	}
	if err := s.Write(ctx, "w1", "big", make([]byte, 101)); !fault.Is(err, fault.TooLarge) {
		t.Errorf("wrote a large file: %v", err)
	}
}
