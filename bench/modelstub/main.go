// Command modelstub is a model server for measurements: it speaks the
// protocols of Anthropic (ADDRESS/anthropic) and OpenAI (ADDRESS/openai/v1) on
// the loopback interface, asks for tools a fixed number of times, answers, and
// keeps a journal of what it was asked (GET ADDRESS/journal). The first line
// it prints is its address.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"agentstudio/bench/model"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "modelstub:", err)
		os.Exit(1)
	}
}

func run() error {
	address := flag.String("addr", "127.0.0.1:0", "where to listen")
	latency := flag.Duration("latency", 5*time.Millisecond, "from the question to the first piece of the answer")
	tools := flag.Int("tools", 2, "how many turns of a conversation ask for a tool before the one that answers")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: model.New(*latency, *tools).Handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	fmt.Printf("http://%s\n", l.Addr())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	err = server.Close()
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
