package api_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"agentstudio/internal/mcp/bridge"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestTheBridgePassesMessagesBothWays(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.offer(w, "greet", greets)
	flow := s.offer(w, "slow", waits)
	there, back := io.Pipe()
	answers, told := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- bridge.Run(context.Background(), bridge.Config{URL: s.http.URL + "/mcp?workspace_id=" + w.id, Key: w.executeKey}, there, told)
	}()
	messages := make(chan string, 100)
	c, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, &sdk.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) { messages <- r.Params.Message },
		ToolListChangedHandler:      func(context.Context, *sdk.ToolListChangedRequest) { messages <- "changed" },
	}).Connect(t.Context(), &sdk.IOTransport{Reader: answers, Writer: back}, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: "greet", Arguments: map[string]any{"who": "Ann"}})
	if err != nil || textOf(t, r) != `{"text":"Hello Ann"}` {
		t.Errorf("%+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		p := &sdk.CallToolParams{Name: "slow"}
		p.SetProgressToken("p")
		_, err := c.CallTool(ctx, p)
		stopped <- err
	}()
	for message := range messages {
		if message == "Wait: waiting" {
			break
		}
	}
	cancel()
	if err := <-stopped; err == nil {
		t.Error("a cancelled call succeeded")
	}
	id := s.do("GET", "/executions?workspace_id="+w.id+"&workflow_id="+flow, w.owner.token, nil).expect(200).text("items.0.id")
	s.until(w.owner.token, id, "cancelled")
	if err := back.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTheBridgeAnswersWhatItCannotPassOn(t *testing.T) {
	s := open(t, options{})
	ask := `{"jsonrpc":"2.0","id":7,"method":"tools/list"}` + "\n" + "no json\n" + `{"jsonrpc":"2.0","method":"notifications/x"}` + "\n"
	for url, want := range map[string]string{s.http.URL + "/mcp": "401", "http://127.0.0.1:1/mcp": "cannot be reached"} {
		var out bytes.Buffer
		if err := bridge.Run(t.Context(), bridge.Config{URL: url, Key: "nobody"}, strings.NewReader(ask), &out); err != nil {
			t.Error(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		text := strings.Join(lines, " ")
		if len(lines) != 2 || !strings.Contains(text, `"id":7`) || !strings.Contains(text, want) || !strings.Contains(text, "-32700") {
			t.Errorf("%s: %s", url, out.String())
		}
	}
}
