package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"agentstudio/internal/blob"
	"agentstudio/internal/fault"
	"agentstudio/internal/file"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
)

// sweepEvery is how often contents that nobody has are removed.
const sweepEvery = 15 * time.Minute

// checkTime bounds the look at the content store at the start.
const checkTime = 10 * time.Second

// contents opens the content store. A bucket that is not there, or not ours,
// is a mistake of the configuration; a server that is away comes back.
func (a *App) contents(ctx context.Context) (file.Content, error) {
	at, err := a.cfg.Storage()
	if err != nil {
		return nil, err
	}
	if at.Bucket == "" {
		return blob.NewDisk(at.Folder), nil
	}
	s, err := blob.NewS3(blob.S3Config{Endpoint: at.Endpoint, Insecure: at.Insecure, Region: at.Region, Bucket: at.Bucket, Prefix: at.Prefix,
		AccessKey: at.AccessKey.Reveal(), SecretKey: at.SecretKey.Reveal(), PathStyle: at.PathStyle})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	switch err := s.Check(ctx); {
	case fault.Is(err, fault.Unavailable):
		a.opts.Log.Warn("the content store does not answer yet", "endpoint", at.Endpoint, "bucket", at.Bucket, "error", err)
	case err != nil:
		return nil, err
	}
	return s, nil
}

func (a *App) fileService(content file.Content) *file.Service {
	return file.NewService(store.NewFiles(a.db), content, file.Config{NewID: NewID, MaxUpload: int64(a.cfg.UploadMaxMiB) << 20, MaxWhole: maxFile,
		Quota: int64(a.cfg.FilesQuotaMiB) << 20, Types: a.cfg.UploadTypes, Log: a.opts.Log,
		Arrived: func(ctx context.Context, f file.File) error {
			return a.triggers.FileArrived(ctx, node.FileArrival{WorkspaceID: f.WorkspaceID, Path: f.Path, Key: f.ContentKey})
		}})
}

// sweepFiles removes contents that nobody has, until ctx ends.
func (a *App) sweepFiles(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		switch removed, err := a.Files.Sweep(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.opts.Log.Error("sweep contents", "error", err)
		case removed > 0:
			a.opts.Log.Info("swept contents", "removed", removed)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// adoptFiles takes in the files that earlier versions kept in folders of the
// data directory, without a row for each.
func (a *App) adoptFiles(ctx context.Context) error {
	old := filepath.Join(a.cfg.DataDir, "files")
	workspaces, err := os.ReadDir(old)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, w := range workspaces {
		if err := a.adoptFolder(ctx, filepath.Join(old, w.Name()), w.Name()); err != nil {
			a.opts.Log.Warn("files of an earlier version stay where they are", "folder", filepath.Join(old, w.Name()), "error", err)
		}
	}
	_ = os.Remove(old) // works for an empty folder only
	return nil
}

func (a *App) adoptFolder(ctx context.Context, folder, workspaceID string) (err error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing was written through it itself
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(name) == ".writing" {
			return err
		}
		text, err := root.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := a.Files.Paths().Write(ctx, file.Maker{WorkspaceID: workspaceID}, name, text); err != nil {
			return err
		}
		return root.Remove(name)
	})
	if err == nil {
		err = os.RemoveAll(folder)
	}
	return err
}
