package app

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"agentstudio/internal/config"
)

// makeDataDir makes the directory for its owner alone.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	return nil
}

// sessionKeys returns the configured signing keys, or the one in the data
// directory, which is made on the first start.
func sessionKeys(cfg config.Config, log *slog.Logger) ([][]byte, error) {
	if len(cfg.SecretKeys) > 0 {
		keys := make([][]byte, len(cfg.SecretKeys))
		for i, k := range cfg.SecretKeys {
			keys[i] = []byte(k.Reveal())
		}
		return keys, nil
	}
	path := filepath.Join(cfg.DataDir, "session.key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if cfg.DatabaseURL != "" {
			log.Warn("SECRET_KEYS is not set: sessions are signed with a key of this machine, which other machines on the same database do not know")
		}
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the session key: %w", err)
	}
	if text = bytes.TrimSpace(text); len(text) < 32 {
		return nil, fmt.Errorf("the session key in %s is too short: delete the file to have a new one made; everybody signs in again", path)
	}
	return [][]byte{text}, nil
}

func makeKey(path string) ([][]byte, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	key := []byte(base64.RawStdEncoding.EncodeToString(raw))
	// Written whole or not at all: a crash must not leave half a key.
	if err := os.WriteFile(path+".new", append(key, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("keep the session key: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, fmt.Errorf("keep the session key: %w", err)
	}
	return [][]byte{key}, nil
}
