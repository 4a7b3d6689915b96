package blob_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"agentstudio/internal/blob"
	"agentstudio/internal/blob/blobtest"
	"agentstudio/internal/fault"
)

func TestDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "contents")
	blobtest.Run(t, blob.NewDisk(dir), dir)
}

func TestDiskFollowsNoLinkOutOfIt(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	if err := os.MkdirAll(filepath.Join(dir, "contents"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "contents", "w1")); err != nil {
		t.Fatal(err)
	}
	s := blob.NewDisk(filepath.Join(dir, "contents"))
	if r, err := s.Open(t.Context(), "w1/secret"); err == nil {
		_ = r.Close()
		t.Error("read through a link")
	}
	if err := s.Put(t.Context(), "w1/new", bytes.NewReader(nil)); err == nil {
		t.Error("wrote through a link")
	}
}

func TestS3(t *testing.T) {
	server := blobtest.Start(t)
	s, err := blob.NewS3(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	blobtest.Run(t, s, server.Folder())
}

func TestS3SaysWhatIsWrong(t *testing.T) {
	server := blobtest.Start(t)
	for name, c := range map[string]struct {
		change func(*blob.S3Config)
		kind   fault.Kind
	}{
		"no bucket":  {func(c *blob.S3Config) { c.Bucket = "missing" }, fault.NotFound},
		"wrong keys": {func(c *blob.S3Config) { c.SecretKey = "wrong-secret" }, fault.Upstream},
	} {
		cfg := server.Config()
		c.change(&cfg)
		s, err := blob.NewS3(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := blob.NewS3(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "w1/a", bytes.NewReader([]byte("kept"))); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if _, err := s.Open(t.Context(), "w1/a"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("read from a server that is gone: %v", err)
	}
	server.Again()
	r, err := s.Open(t.Context(), "w1/a")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
}

// Two studios with one bucket see the same contents, below a prefix of theirs.
func TestS3IsSharedByReplicas(t *testing.T) {
	cfg := blobtest.Start(t).Config()
	cfg.Prefix = "studio/"
	one, err := blob.NewS3(cfg)
	if err != nil {
		t.Fatal(err)
	}
	other, err := blob.NewS3(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Put(t.Context(), "w1/a", bytes.NewReader([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	r, err := other.Open(t.Context(), "w1/a")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
}
