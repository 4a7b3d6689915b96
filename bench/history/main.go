// Command history keeps that executions survive an upgrade. It brings a server
// of one version into the middle of executions of all sorts, kills it, and
// looks whether a server of another version ends them as they would have
// ended, without doing again what was done:
//
//	go run ./bench/history -from OLD -binary bin/agentstudio                   on SQLite
//	go run ./bench/history -from OLD -binary bin/agentstudio -database URL     on PostgreSQL
//	go run ./bench/history -from OLD -record internal/engine/testdata/histories/NAME
//
// What -record keeps is gone on with by the tests of this package, for ever.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"agentstudio/bench/model"
	"agentstudio/bench/studio"
)

func main() {
	var o options
	flag.StringVar(&o.from, "from", "", "the binary of the version that the executions start with")
	flag.StringVar(&o.binary, "binary", "", "the binary of the version that goes on with them")
	flag.StringVar(&o.database, "database", "", "address of an empty PostgreSQL database; SQLite when empty")
	flag.StringVar(&o.record, "record", "", "directory to keep the history in, instead of going on with it")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}

type options struct{ from, binary, database, record string }

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "studio-history-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// Where it listens must not matter: the two versions meet two servers.
	before := model.New(0, tools)
	before.Hold = held
	h, err := start(ctx, o.from, dir, o.database, before, recordAll)
	if err != nil {
		return err
	}
	if o.record != "" {
		return h.keep(dir, o.record)
	}
	after := model.New(0, tools)
	_, err = start(ctx, o.binary, dir, o.database, after, func(ctx context.Context, s *studio.Studio) (*history, error) {
		return h, h.goOn(ctx, s, after)
	})
	if err == nil {
		fmt.Printf("%d executions started on one version ended on the other as they should; nothing that was done was done again\n", len(h.Executions))
	}
	return err
}

// start runs a server for the length of a part and kills it then.
func start(ctx context.Context, binary, dir, database string, stub *model.Stub, part func(context.Context, *studio.Studio) (*history, error)) (h *history, err error) {
	address, stop, err := listen(ctx, stub.Handler())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	env := []string{"OPENAI_BASE_URL=" + address + "/openai/v1", "OPENAI_API_KEY=none"}
	if database != "" {
		env = append(env, "DATABASE_URL="+database)
	}
	s, err := studio.Start(ctx, studio.Options{Binary: binary, Dir: dir, Env: env})
	if err != nil {
		return nil, err
	}
	h, err = part(ctx, s)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, s.Log())
	}
	return h, errors.Join(err, s.Kill())
}

// keep copies the data directory and what is known of it.
func (h *history) keep(dir, to string) error {
	if err := os.MkdirAll(to, 0o750); err != nil {
		return err
	}
	if err := h.write(filepath.Join(to, "history.json")); err != nil {
		return err
	}
	return compress(dir, to)
}
