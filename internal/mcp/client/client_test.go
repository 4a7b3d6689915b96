package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentstudio/internal/mcp"
	"agentstudio/internal/mcp/client"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestMain lets the test binary be what it tests: the supervisor, a server that
// is a program, and a studio that holds one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "mcp-child":
			os.Exit(client.Supervise(os.Args[2:]))
		case "mcp-server":
			os.Exit(serveStdio(os.Args[2:]))
		case "mcp-holder":
			os.Exit(hold(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// serveStdio is a server that has started two processes of its own, one of
// which has left its session, and answers their ids.
func serveStdio(args []string) int {
	if len(args) > 0 && args[0] == "broken" {
		fmt.Fprintln(os.Stderr, "no key in", os.Getenv("API_KEY"))
		return 3
	}
	near := exec.Command("sleep", "600")
	far := exec.Command("sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!")
	if near.Start() != nil {
		return 1
	}
	said, err := far.Output()
	if err != nil {
		return 1
	}
	s := everything()
	sdk.AddTool(s, &sdk.Tool{Name: "pids"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		return nil, map[string]any{"pids": fmt.Sprintf("%d %d %s", os.Getpid(), near.Process.Pid, strings.TrimSpace(string(said)))}, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "crash"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		fmt.Fprintln(os.Stderr, "something is on fire")
		os.Exit(7)
		return nil, nil, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "env"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		return nil, map[string]any{"env": os.Environ()}, nil
	})
	if err := s.Run(context.Background(), &sdk.StdioTransport{}); err != nil {
		return 1
	}
	select {} // it does not care that its input has ended
}

type echoArgs struct {
	Text string `json:"text"`
}

// everything is a server with a bit of everything.
func everything() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "everything", Version: "1.2.3"}, nil)
	no := false
	sdk.AddTool(s, &sdk.Tool{Name: "echo", Title: "Echo", Description: "Says it again", Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true}},
		func(_ context.Context, r *sdk.CallToolRequest, a echoArgs) (*sdk.CallToolResult, any, error) {
			key, _ := r.Params.Meta["agentstudio/idempotency-key"].(string)
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: a.Text + key}}}, nil, nil
		})
	sdk.AddTool(s, &sdk.Tool{Name: "picture", Annotations: &sdk.ToolAnnotations{DestructiveHint: &no}}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.ImageContent{Data: []byte("PNG"), MIMEType: "image/png"}, &sdk.AudioContent{Data: []byte("WAV"), MIMEType: "audio/wav"},
			&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "a://b", Text: "inside", MIMEType: "text/plain"}}, &sdk.ResourceLink{URI: "a://c", Name: "c"}}}, nil, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "fail"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		return nil, nil, errors.New("it cannot be done")
	})
	sdk.AddTool(s, &sdk.Tool{Name: "slow"}, func(ctx context.Context, r *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult, any, error) {
		if err := r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: 1, Total: 2, Message: "half"}); err != nil {
			return nil, nil, err
		}
		<-ctx.Done()
		return nil, nil, ctx.Err()
	})
	sdk.AddTool(s, &sdk.Tool{Name: "grow"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
		sdk.AddTool(s, &sdk.Tool{Name: "grown"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
			return nil, map[string]any{"ok": true}, nil
		})
		return nil, map[string]any{"ok": true}, nil
	})
	s.AddResource(&sdk.Resource{URI: "a://b", Name: "b"}, nil)
	s.AddResourceTemplate(&sdk.ResourceTemplate{URITemplate: "a://{x}", Name: "x"}, nil)
	s.AddPrompt(&sdk.Prompt{Name: "hello", Arguments: []*sdk.PromptArgument{{Name: "who", Required: true}}}, nil)
	return s
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func program(path string, args ...string) mcp.Target {
	return mcp.Target{Transport: mcp.Stdio, Command: path, Args: append([]string{"mcp-server"}, args...), Env: map[string]mcp.Secret{"API_KEY": "s3cret-value"}}
}

func dial(t *testing.T, target mcp.Target, changed func()) mcp.Session {
	t.Helper()
	if changed == nil {
		changed = func() {}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := client.New(client.Config{Version: "test", HTTP: &http.Client{}, Supervisor: []string{executable(t), "mcp-child"}}).Dial(ctx, target, changed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func call(t *testing.T, s mcp.Session, tool, args string) *mcp.Result {
	t.Helper()
	r, err := s.Call(t.Context(), mcp.Use{Tool: tool, Args: json.RawMessage(args)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// eachTransport runs a test against a server over every transport.
func eachTransport(t *testing.T, test func(t *testing.T, target mcp.Target)) {
	t.Helper()
	guarded := func(h http.Handler) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer s3cret-value" {
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
			h.ServeHTTP(w, r)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	headers := map[string]mcp.Secret{"Authorization": "Bearer s3cret-value"}
	t.Run("stdio", func(t *testing.T) { test(t, program(executable(t))) })
	t.Run("http", func(t *testing.T) {
		s := everything()
		test(t, mcp.Target{Transport: mcp.HTTP, Headers: headers, URL: guarded(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, nil))})
	})
	t.Run("sse", func(t *testing.T) {
		s := everything()
		test(t, mcp.Target{Transport: mcp.SSE, Headers: headers, URL: guarded(sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return s }, nil))})
	})
}

func TestServersAreSpokenToOverEveryTransport(t *testing.T) {
	eachTransport(t, func(t *testing.T, target mcp.Target) {
		changed := make(chan struct{}, 10)
		s := dial(t, target, func() { changed <- struct{}{} })
		if i := s.Info(); i.Name != "everything" || i.Version != "1.2.3" || !strings.Contains(string(i.Capabilities), "tools") {
			t.Errorf("it says of itself %+v", i)
		}
		tools, err := s.Tools(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]mcp.Tool{}
		for _, x := range tools {
			byName[x.Name] = x
		}
		if e := byName["echo"]; e.Title != "Echo" || !e.ReadOnly || !strings.Contains(string(e.InputSchema), `"text"`) || e.Risk() != "low" || byName["picture"].Risk() != "medium" || byName["fail"].Risk() != "high" {
			t.Errorf("tools are %+v", tools)
		}
		resources, err := s.Resources(t.Context())
		if err != nil || len(resources) != 2 || !resources[1].Template {
			t.Errorf("resources are %+v (%v)", resources, err)
		}
		prompts, err := s.Prompts(t.Context())
		if err != nil || len(prompts) != 1 || !prompts[0].Arguments[0].Required {
			t.Errorf("prompts are %+v (%v)", prompts, err)
		}
		if r := call(t, s, "echo", `{"text":"hi"}`); r.IsError || r.Text() != "hi" {
			t.Errorf("echo answers %+v", r)
		}
		r, err := s.Call(t.Context(), mcp.Use{Tool: "echo", Args: json.RawMessage(`{"text":"k="}`), Key: "x/1"}, nil)
		if err != nil || r.Text() != "k=x/1" {
			t.Errorf("the key came as %+v (%v)", r, err)
		}
		r = call(t, s, "picture", `{}`)
		if len(r.Content) != 4 || r.Content[0].Type != "image" || string(r.Content[0].Data) != "PNG" || r.Content[1].Type != "audio" || r.Content[2].Text != "inside" || r.Content[3].URI != "a://c" {
			t.Errorf("picture answers %+v", r)
		}
		if r := call(t, s, "fail", `{}`); !r.IsError || r.Text() != "it cannot be done" {
			t.Errorf("fail answers %+v", r)
		}
		if r := call(t, s, "grow", `{}`); r.IsError || r.Structured == nil {
			t.Errorf("grow answers %+v", r)
		}
		<-changed
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestACallTellsItsProgressAndCanBeStopped(t *testing.T) {
	eachTransport(t, func(t *testing.T, target mcp.Target) {
		s := dial(t, target, nil)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := s.Call(ctx, mcp.Use{Tool: "slow", Args: json.RawMessage(`{}`)}, func(p mcp.Progress) {
			if p.Done != 1 || p.Total != 2 || p.Message != "half" {
				t.Errorf("progress is %+v", p)
			}
			cancel()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the call ended with %v", err)
		}
		if r := call(t, s, "echo", `{"text":"still here"}`); r.Text() != "still here" {
			t.Errorf("after it: %+v", r)
		}
	})
}

func TestWrongCredentialsAreSaid(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnauthorized) }))
	defer s.Close()
	for _, transport := range []mcp.Transport{mcp.HTTP, mcp.SSE} {
		_, err := client.New(client.Config{HTTP: &http.Client{}}).Dial(t.Context(), mcp.Target{Transport: transport, URL: s.URL}, func() {})
		if err == nil || !strings.Contains(err.Error(), "credentials") {
			t.Errorf("%s: %v", transport, err)
		}
	}
}

func TestHeadersStayWithTheirServer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != "" {
			t.Error("the key went to another server")
		}
		http.Error(w, "no", http.StatusNotFound)
	}))
	defer other.Close()
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != "s3cret" {
			t.Error("the key did not come")
		}
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer here.Close()
	target := mcp.Target{Transport: mcp.HTTP, URL: here.URL, Headers: map[string]mcp.Secret{"X-Api-Key": "s3cret"}}
	if _, err := client.New(client.Config{HTTP: &http.Client{}}).Dial(t.Context(), target, func() {}); err == nil {
		t.Error("it connected")
	}
}

func alive(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// pids are the processes of a program: its own and those it has started.
func pids(t *testing.T, text string) []int {
	t.Helper()
	var out []int
	for word := range strings.FieldsSeq(text) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pid)
	}
	if len(out) != 3 {
		t.Fatalf("%q are not three processes", text)
	}
	for _, pid := range out {
		if !alive(pid) {
			t.Fatalf("process %d of %q does not run", pid, text)
		}
	}
	return out
}

func programPIDs(t *testing.T, s mcp.Session) []int {
	t.Helper()
	said, _ := call(t, s, "pids", `{}`).Structured.(map[string]any)
	text, _ := said["pids"].(string)
	return pids(t, text)
}

func gone(t *testing.T, all []int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for _, pid := range all {
		for alive(pid) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d is left", pid)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
}

func TestNoProcessIsLeftAfterADisconnection(t *testing.T) {
	s := dial(t, program(executable(t)), nil)
	all := programPIDs(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range all { // at once: Close returns when they are gone
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}

func TestNoProcessIsLeftAfterACrashAndItsLastWordsAreTold(t *testing.T) {
	s := dial(t, program(executable(t)), nil)
	all := programPIDs(t, s)
	_, err := s.Call(t.Context(), mcp.Use{Tool: "crash", Args: json.RawMessage(`{}`)}, nil)
	if err == nil {
		t.Fatal("the call of a program that crashed succeeded")
	}
	<-s.Done()
	if text := s.Err().Error(); !strings.Contains(text, "on fire") || !strings.Contains(text, "exit status 7") {
		t.Errorf("it says %s", text)
	}
	gone(t, all)
}

func TestAProgramThatCannotStartSaysWhy(t *testing.T) {
	d := client.New(client.Config{Supervisor: []string{executable(t), "mcp-child"}})
	for want, target := range map[string]mcp.Target{"not found": {Transport: mcp.Stdio, Command: "no-such-program-here"}, "no key in": program(executable(t), "broken")} {
		_, err := d.Dial(t.Context(), target, func() {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func TestAProgramGetsNoneOfOurSettings(t *testing.T) {
	t.Setenv("SECRET_KEYS", "ours")
	t.Setenv("STUDIO_CREDENTIAL_X", "ours")
	s := dial(t, program(executable(t)), nil)
	text := fmt.Sprint(call(t, s, "env", `{}`).Structured)
	if strings.Contains(text, "ours") || !strings.Contains(text, "PATH=") || !strings.Contains(text, "API_KEY=s3cret-value") {
		t.Errorf("the environment is %s", text)
	}
}

// hold is a studio that holds a program until it is killed.
func hold(args []string) int {
	s, err := client.New(client.Config{Supervisor: []string{args[0], "mcp-child"}}).Dial(context.Background(), program(args[0]), func() {})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	r, err := s.Call(context.Background(), mcp.Use{Tool: "pids", Args: json.RawMessage(`{}`)}, nil)
	if err != nil {
		return 1
	}
	said, _ := r.Structured.(map[string]any)
	if _, err := fmt.Fprintln(os.Stdout, said["pids"]); err != nil {
		return 1
	}
	select {}
}

func TestNoProcessIsLeftAfterOurOwnKill(t *testing.T) {
	studio := exec.Command(executable(t), "mcp-holder", executable(t))
	out, err := studio.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	studio.Stderr = os.Stderr
	if err := studio.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	all := pids(t, string(buf[:n]))
	if err := studio.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = studio.Wait() // it was killed
	gone(t, all)
}

func TestNoProcessIsLeftWhenTheSupervisorIsKilled(t *testing.T) {
	s := dial(t, program(executable(t)), nil)
	all := programPIDs(t, s)
	text, err := os.ReadFile("/proc/" + strconv.Itoa(all[0]) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	supervisor, err := strconv.Atoi(strings.Fields(rest)[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(supervisor, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	gone(t, all[:1]) // what it had started is out of reach then
	for _, pid := range all[1:] {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
