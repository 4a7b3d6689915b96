package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"agentstudio/internal/access"
	"agentstudio/internal/workflow"
)

// Seeded says what became of one file.
type Seeded struct {
	File, Name, ID string
	Existed        bool // a workflow of that name was there: left as it is
}

// Seed loads every workflow file of a directory into the actor's personal
// workspace. Workflows whose name is taken are left alone, so seeding again
// changes nothing.
func (a *App) Seed(ctx context.Context, by access.Actor, dir string) ([]Seeded, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there are no workflow files (*.yaml) in %s", dir)
	}
	sort.Strings(files)
	taken, err := a.names(ctx, by)
	if err != nil {
		return nil, err
	}
	var out []Seeded
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return out, err
		}
		d, err := a.Codec.Decode(text)
		if err != nil {
			return out, fmt.Errorf("%s: %w", file, err)
		}
		s := Seeded{File: file, Name: d.Name, ID: taken[d.Name]}
		if s.Existed = s.ID != ""; !s.Existed {
			w, err := a.Workflows.Create(ctx, by, by.Personal, d)
			if err != nil {
				return out, fmt.Errorf("%s: %w", file, err)
			}
			s.ID = w.ID
		}
		out = append(out, s)
	}
	return out, nil
}

func (a *App) names(ctx context.Context, by access.Actor) (map[string]string, error) {
	taken := map[string]string{}
	for offset := 0; ; offset += 100 {
		page, total, err := a.Workflows.List(ctx, by, by.Personal, workflow.Filter{Limit: 100, Offset: offset})
		if err != nil {
			return nil, err
		}
		for _, w := range page {
			taken[w.Name] = w.ID
		}
		if offset+100 >= total {
			return taken, nil
		}
	}
}
