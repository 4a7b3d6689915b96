// Command apifuzz walks the OpenAPI document of a running studio and sends it
// requests that are nearly right, wrong and very wrong. It reports whatever
// makes the studio answer with 5xx.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "apifuzz:", err)
		os.Exit(1)
	}
}

func run() error {
	url := flag.String("url", "http://127.0.0.1:8000", "where the studio is")
	count := flag.Int("count", 5000, "how many requests to send")
	seed := flag.Uint64("seed", 1, "the same seed sends the same requests, as far as the answers are the same")
	token := flag.String("token", "", "access token or API key to send them with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	f, err := New(ctx, *url, *token, *seed)
	if err != nil {
		return err
	}
	report, err := f.Run(ctx, *count)
	if err != nil {
		return err
	}
	fmt.Print(report)
	if len(report.Findings) > 0 {
		return errors.New("the studio failed on some requests")
	}
	return nil
}
