package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// longestFile bounds a file of a history, in bytes, unpacked.
const longestFile = 64 << 20

// listen serves on the loopback interface until stop.
func listen(ctx context.Context, handler http.Handler) (address string, stop func() error, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	return "http://" + l.Addr().String(), func() error {
		err := server.Close()
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

func (h *history) write(path string) error {
	text, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

func read(path string) (*history, error) {
	text, err := os.ReadFile(path) //nolint:gosec // a path of the developer's
	if err != nil {
		return nil, err
	}
	var h history
	return &h, json.Unmarshal(text, &h)
}

// compress writes the files of a data directory packed, those that only a
// running server needs left out.
func compress(dir, to string) error {
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range all {
		if f.IsDir() || strings.HasSuffix(f.Name(), ".lock") || strings.HasSuffix(f.Name(), "-shm") {
			continue
		}
		if err := pack(filepath.Join(dir, f.Name()), filepath.Join(to, f.Name()+".gz")); err != nil {
			return err
		}
	}
	return nil
}

func pack(from, to string) (err error) {
	in, err := os.Open(from) //nolint:gosec // a path of ours
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.Create(to) //nolint:gosec // a path of the developer's
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return errors.Join(err, w.Close())
}

// unpack restores a data directory.
func unpack(from, dir string) error {
	all, err := filepath.Glob(filepath.Join(from, "*.gz"))
	if err != nil {
		return err
	}
	for _, path := range all {
		if err := unpackFile(path, filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), ".gz"))); err != nil {
			return err
		}
	}
	return nil
}

func unpackFile(from, to string) (err error) {
	in, err := os.Open(from) //nolint:gosec // a path of ours
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	r, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(r, longestFile))
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}
