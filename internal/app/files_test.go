package app_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentstudio/internal/access"
	"agentstudio/internal/app"
	"agentstudio/internal/blob/blobtest"
	"agentstudio/internal/config"
	"agentstudio/internal/event"
	"agentstudio/internal/file"
	"agentstudio/internal/store/storetest"
)

// read returns a file's text as a member sees it.
func read(t *testing.T, studio *app.App, by access.Actor, name string) (f file.File, text string) {
	t.Helper()
	files, total, err := studio.Files.List(t.Context(), by, by.Personal, file.Filter{Query: name, Limit: 10})
	if err != nil || total != 1 {
		t.Fatalf("%d files are called %s (%v)", total, name, err)
	}
	_, content, err := studio.Files.Open(t.Context(), by, files[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	all, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	return files[0], string(all)
}

func TestReplicasShareFilesThroughS3(t *testing.T) {
	database, server := storetest.PostgresURL(t), blobtest.Start(t)
	cfg := settings(t.TempDir())
	cfg.DatabaseURL = config.Secret(database)
	cfg.StorageURL = config.Secret("s3://contents?region=us-east-1&path_style=true&endpoint=http://" + server.Config().Endpoint)
	cfg.StorageAccessKey, cfg.StorageSecretKey = "studio", "studio-secret"
	one, by, _ := open(t, cfg)
	cfg.DataDir = t.TempDir()
	other, _, _ := open(t, cfg)

	d, err := one.Codec.Decode([]byte("name: w\nnodes:\n- {id: a, kind: manual-trigger}\n- {id: b, kind: file, config: {operation: write, path: out/report.json, content: {sum: 3}}}\nconnections:\n- {source: a, target: b}\n"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := one.RunOnce(t.Context(), by, d, json.RawMessage(`{}`), false, func(event.Event) {})
	if err != nil || x.Error != nil {
		t.Fatalf("%v, %+v", err, x.Error)
	}
	f, text := read(t, other, by, "report.json")
	if f.ExecutionID != x.ID || f.NodeID != "b" || f.ContentType != "application/json" || !strings.Contains(text, `"sum": 3`) {
		t.Errorf("got %+v: %s", f, text)
	}
}

func TestAMissingBucketIsToldAtTheStart(t *testing.T) {
	server := blobtest.Start(t)
	cfg := settings(t.TempDir())
	cfg.StorageURL = config.Secret("s3://missing?region=us-east-1&path_style=true&endpoint=http://" + server.Config().Endpoint)
	cfg.StorageAccessKey, cfg.StorageSecretKey = "studio", "studio-secret"
	if _, err := app.Open(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "has no bucket missing") {
		t.Errorf("opened: %v", err)
	}
}

func TestFilesOfEarlierVersionsAreTakenIn(t *testing.T) {
	dir := t.TempDir()
	cfg := settings(dir)
	_, by, stop := open(t, cfg)
	stop()
	for name, text := range map[string]string{by.Personal + "/a/one.txt": "1", by.Personal + "/two.txt": "2", "nobody/lost.txt": "3"} {
		path := filepath.Join(dir, "files", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	studio, _, _ := open(t, cfg)
	if _, text := read(t, studio, by, "a/one.txt"); text != "1" {
		t.Errorf("got %q", text)
	}
	if _, text := read(t, studio, by, "two.txt"); text != "2" {
		t.Errorf("got %q", text)
	}
	if _, err := os.Stat(filepath.Join(dir, "files", by.Personal)); !os.IsNotExist(err) {
		t.Errorf("the old folder is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "files", "nobody", "lost.txt")); err != nil {
		t.Errorf("what nobody could take in is gone: %v", err)
	}
}
