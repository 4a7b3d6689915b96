// Command mcp tries a built studio against what others have made for the Model
// Context Protocol: the official conformance suite, three of the reference
// servers, and the inspector. It prints a line for each and fails when one does.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"agentstudio/internal/mcp"
	"agentstudio/internal/mcp/client"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "probe" {
		if err := probe(os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	binary := flag.String("binary", "bin/agentstudio", "the studio to try")
	modules := flag.String("modules", "test/mcp/node_modules", "where the npm packages are")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	t := &trial{ctx: ctx, modules: absolute(*modules)}
	t.run(absolute(*binary))
	cancel()
	if t.failed > 0 {
		fmt.Printf("%d of %d failed\n", t.failed, t.failed+t.passed)
		os.Exit(1)
	}
	fmt.Printf("all %d passed\n", t.passed)
}

func absolute(path string) string {
	out, err := filepath.Abs(path)
	if err != nil {
		panic(err)
	}
	return out
}

// trial counts what was tried.
type trial struct {
	ctx            context.Context
	modules        string
	passed, failed int
}

// check tells of one thing that was tried.
func (t *trial) check(name string, err error) {
	if err != nil {
		t.failed++
		fmt.Printf("FAIL %s: %v\n", name, err)
		return
	}
	t.passed++
	fmt.Printf("ok   %s\n", name)
}

func (t *trial) run(binary string) {
	s, err := start(t.ctx, binary)
	if err != nil {
		t.check("start the studio", err)
		return
	}
	defer s.kill()
	t.servers(s)
	t.conformServer(s)
	t.conformClient()
	t.inspect(s)
	t.leavesNothing(s)
}

// node is a command of an npm package.
func (t *trial) node(args ...string) *exec.Cmd {
	args[0] = filepath.Join(t.modules, args[0])
	node := "node"
	if own, err := filepath.Glob(filepath.Join(t.modules, "node-*", "bin", "node")); err == nil && len(own) > 0 {
		node = own[0] // the suite needs a newer one than a machine may have
	}
	cmd := exec.CommandContext(t.ctx, node, args...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// said runs a command and returns what it has written; an error holds it.
func said(cmd *exec.Cmd) (string, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%w\n%s", err, tailOf(string(out)))
	}
	return string(out), nil
}

func tailOf(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}

// probe is our client, as the conformance suite drives one: it connects and
// calls every tool with numbers.
func probe(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := client.New(client.Config{Version: "probe", HTTP: &http.Client{}}).Dial(ctx, mcp.Target{Transport: mcp.HTTP, URL: url}, func() {})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // the program ends
	tools, err := s.Tools(ctx)
	if err != nil {
		return err
	}
	for _, tool := range tools {
		args := `{}`
		if strings.Contains(string(tool.InputSchema), `"b"`) {
			args = `{"a":5,"b":3}`
		}
		if _, err := s.Call(ctx, mcp.Use{Tool: tool.Name, Args: []byte(args)}, nil); err != nil {
			return err
		}
	}
	return nil
}
