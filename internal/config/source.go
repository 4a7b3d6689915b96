package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// fromEnv reads a variable, or the file that its …_FILE twin names.
func fromEnv(name string) (value string, found bool, err error) {
	if v, ok := os.LookupEnv(name); ok && v != "" {
		return v, true, nil
	}
	file := os.Getenv(name + "_FILE")
	if file == "" {
		return "", false, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", false, fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimRight(string(text), "\r\n"), true, nil
}

// Resolver gives kong the values of the environment and of the configuration
// file, and remembers where each came from. Use one per parse.
type Resolver struct {
	file    map[string]string
	path    string
	sources map[string]string
}

// NewResolver returns the resolver of one parse.
func NewResolver() *Resolver { return &Resolver{sources: map[string]string{}} }

// Validate implements kong.Resolver.
func (r *Resolver) Validate(app *kong.Application) error { return r.load(app) }

// load reads the file, once, and refuses keys that are no settings.
func (r *Resolver) load(app *kong.Application) error {
	if r.file != nil {
		return nil
	}
	r.file = map[string]string{}
	path, wanted, err := r.filePath(app)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !wanted {
		return nil
	}
	if err != nil {
		return fmt.Errorf("configuration file: %w", err)
	}
	var values map[string]any
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&values); err != nil && len(bytes.TrimSpace(text)) > 0 {
		return fmt.Errorf("configuration file %s: %s", path, yaml.FormatError(err, false, true))
	}
	known := map[string]bool{}
	for _, f := range app.Flags {
		known[key(f.Name)] = true
	}
	r.path = path
	var unknown []string
	for k, v := range values {
		if !known[k] {
			unknown = append(unknown, k)
			continue
		}
		r.file[k] = listed(v)
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return fmt.Errorf("configuration file %s: no such settings: %s (`agentstudio config` lists them all)", path, strings.Join(unknown, ", "))
	}
	return nil
}

func listed(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = fmt.Sprint(e)
	}
	return strings.Join(parts, ",")
}

// filePath finds the configuration file; wanted says that somebody named it.
func (r *Resolver) filePath(app *kong.Application) (path string, wanted bool, err error) {
	setting := func(name string) string {
		for i, arg := range os.Args {
			if v, ok := strings.CutPrefix(arg, "--"+name+"="); ok {
				return v
			}
			if arg == "--"+name && i+1 < len(os.Args) {
				return os.Args[i+1]
			}
		}
		for _, f := range app.Flags {
			if f.Name == name && len(f.Envs) > 0 {
				if v := os.Getenv(f.Envs[0]); v != "" {
					return v
				}
				return f.Default
			}
		}
		return ""
	}
	if path := setting("config-file"); path != "" {
		return path, true, nil
	}
	dir, err := expandHome(setting("data-dir"))
	return filepath.Join(dir, "config.yaml"), false, err
}

func key(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// Resolve implements kong.Resolver.
func (r *Resolver) Resolve(k *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if err := r.load(k.Model); err != nil {
		return nil, err
	}
	for _, name := range flag.Envs {
		v, ok, err := fromEnv(name)
		if err != nil {
			return nil, err
		}
		if ok {
			r.sources[flag.Name] = "environment " + name
			return v, nil
		}
	}
	if v, ok := r.file[key(flag.Name)]; ok {
		r.sources[flag.Name] = "file " + r.path
		return v, nil
	}
	return nil, nil
}
