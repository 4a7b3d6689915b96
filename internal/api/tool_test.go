package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/api"
	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/scripted"
	"agentstudio/internal/media"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/tool"
	tools "agentstudio/internal/tool/builtin"
	"agentstudio/internal/toolbox"
	"agentstudio/internal/usage"
	"agentstudio/internal/webread"
	"agentstudio/internal/websearch"
)

// ledger keeps records at once.
type ledger struct {
	s     *studio
	store *store.Usage
}

func (l ledger) Record(ctx context.Context, r usage.Record) {
	r.ID = newID()
	if err := l.store.Add(ctx, []usage.Record{r}); err != nil {
		l.s.t.Error(err)
	}
}

// someWeb is the web as the tools find it.
type someWeb struct{}

func (someWeb) Configured() bool { return true }

func (someWeb) Search(_ context.Context, query string, num int) ([]websearch.Result, error) {
	return []websearch.Result{{Title: fmt.Sprintf("%d about %s", num, query), URL: "https://a.test/"}}, nil
}

func (someWeb) Read(_ context.Context, address string) (webread.Page, error) {
	if strings.Contains(address, "169.254") {
		return webread.Page{}, fault.New(fault.Invalid, "%s may not be reached from here", address)
	}
	return webread.Page{Title: "A page", URL: address, Content: "# It"}, nil
}

// notes is an MCP server that every workspace has.
type notes struct{}

func (n notes) Tools(context.Context, string) ([]tool.Tool, error) {
	return []tool.Tool{{Spec: tool.Spec{Name: "mcp/notes/write.note", Title: "Write", Description: "Writes", Category: "mcp", Schema: json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`), Risk: node.RiskMedium, Effect: true},
		Run: func(_ context.Context, c tool.Call) (tool.Result, error) {
			return tool.Result{Text: "written in " + c.WorkspaceID}, nil
		}}}, nil
}

func (n notes) Find(ctx context.Context, workspaceID, name string) (tool.Tool, error) {
	all, _ := n.Tools(ctx, workspaceID)
	if all[0].Name != name {
		return tool.Tool{}, fault.New(fault.NotFound, "there is no tool %q", name)
	}
	return all[0], nil
}

func (notes) Check(context.Context, string, string) error { return nil }

// caller is a model that calls the first tool it is given, and then says what
// came of it.
type caller struct{ scripted.Provider }

func (caller) Name() string { return "caller" }

func (caller) Generate(_ context.Context, req llm.Request, _ func(llm.Part)) (*llm.Response, error) {
	last := req.Messages[len(req.Messages)-1]
	answer := &llm.Response{Model: "caller/one", StopReason: llm.EndTurn, Message: llm.Message{Role: llm.Assistant}}
	if last.Role == llm.Tool {
		text := ""
		for _, b := range last.Content {
			text += fmt.Sprintf("%s %s said %s %t. ", b.ID, b.Name, b.Text, b.Failed)
		}
		answer.Message.Content = []llm.Block{{Type: llm.TextBlock, Text: text}}
		return answer, nil
	}
	answer.StopReason = llm.ToolUse
	for _, t := range req.Tools {
		answer.Message.Content = append(answer.Message.Content, llm.Block{Type: llm.ToolCallBlock, ID: "call-" + t.Name, Name: t.Name, Arguments: json.RawMessage(`{"x":1}`)})
	}
	return answer, nil
}

// box is the tools and models of a studio under test.
func box(s *studio, budgets *usage.Service) *toolbox.Service {
	book := ledger{s, store.NewUsage(s.db)}
	prices, err := media.DefaultPrices()
	if err != nil {
		s.t.Fatal(err)
	}
	catalogue := tool.NewCatalogue(tools.Tools(tools.Deps{Files: s.files.Paths(), Search: someWeb{}, Read: someWeb{}, Media: media.New(media.Config{Ledger: book, Gate: budgets, Prices: prices}, media.Demo{})})...)
	registry := llm.NewRegistry(llm.Config{Decorate: func(p llm.Provider) llm.Model {
		return llm.Meter(p, book, nil, llm.MeterConfig{Gate: budgets})
	}}, scripted.Provider{}, caller{})
	return toolbox.New(tool.NewShelf(catalogue, notes{}), demoModels{registry}, tool.NewGate(tool.GateConfig{Ledger: book, Limiter: limit.NewLocal(time.Now)}), toolbox.Config{})
}

// booked returns the rows of the ledger that a condition holds for.
func (s *studio) booked(where string) (n int) {
	s.t.Helper()
	if err := s.db.Read().QueryRowContext(s.t.Context(), `SELECT count(*) FROM usage_records WHERE `+where).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestToolsAreListedAndUsedByHand(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	s.do("GET", "/tools?category=files", w.viewer.token, nil).expect(200).expectAt("total", 4).expectAt("items.0.id", "file_read").expectAt("items.0.risk", "low").expectAt("items.0.configured", true).
		expectAt("items.0.input_schema.required.0", "path").expectAt("items.1.effect", true)
	s.do("GET", "/tools/send_email", w.viewer.token, nil).expect(200).expectAt("configured", false)
	s.do("GET", "/tools/calculatr", w.viewer.token, nil).problem(404, "not_found")
	in := "?workspace_id=" + w.id
	s.do("POST", "/tools/calculator/call"+in, w.editor.token, `{"arguments":{"expression":"6*7"}}`).expect(200).expectAt("text", "42").expectAt("cost_usd", 0)
	s.do("POST", "/tools/file_write/call"+in, w.editor.token, `{"arguments":{"path":"a.txt","content":"hello"}}`).expect(200)
	s.do("GET", "/tools/files"+in, w.viewer.token, nil).expect(200).expectAt("total", 1).expectAt("items.0.user_id", w.editor.id)
	bad := s.do("POST", "/tools/file_write/call"+in, w.editor.token, `{"arguments":{"path":7,"colour":"red"}}`).problem(422, "invalid")
	if at := strings.Join(bad.locations(), " "); !strings.Contains(at, "body.arguments.path") || !strings.Contains(at, "body.arguments") || len(bad.locations()) < 2 {
		t.Errorf("the faults are at %s", at)
	}
	s.do("POST", "/tools/send_email/call"+in, w.editor.token, `{"arguments":{"to":"a@x.test","subject":"s","text":"t"}}`).problem(501, "not_configured")
	s.do("POST", "/tools/nothing/call"+in, w.editor.token, `{}`).problem(404, "not_found")
	s.do("POST", "/tools/calculator/call"+in, w.viewer.token, `{"arguments":{"expression":"1"}}`).problem(403, "forbidden")
	if n := s.booked(`tool = 'calculator' AND outcome = 'answered' AND cost_micros = 0 AND user_id = '` + w.editor.id + `'`); n != 1 {
		t.Errorf("%d calls of the calculator are in the ledger", n)
	}
	if n := s.booked(`tool = 'send_email' AND outcome = 'failed' AND error_code = 'not_configured'`); n != 1 {
		t.Errorf("%d failed calls are in the ledger", n)
	}
	s.do("POST", "/tools/calculator/call"+in, w.executeKey, `{"arguments":{"expression":"1"}}`).expect(200)
	if n := s.booked(`tool = 'calculator' AND api_key_id <> ''`); n != 1 {
		t.Errorf("%d calls by a key are in the ledger", n)
	}
}

func TestTheWebHasFixedShapes(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	s.do("POST", "/tools/web/search", p.token, `{"query":"tides","num":3}`).expect(200).expectAt("results.0.title", "3 about tides").expectAt("results.0.url", "https://a.test/")
	s.do("POST", "/tools/web/search", p.token, `{"query":"tides","num":21}`).problem(422, "invalid")
	s.do("POST", "/tools/web/read", p.token, `{"url":"https://a.test/"}`).expect(200).expectAt("content", "# It")
	s.do("POST", "/tools/web/read", p.token, `{"url":"http://169.254.169.254/"}`).problem(422, "invalid")
	if n := s.booked(`tool IN ('web_search', 'web_read')`); n != 3 {
		t.Errorf("%d calls are in the ledger", n)
	}
}

func TestAModelIsAskedByHand(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.Limits.AI = limit.Rate{Requests: 5, Per: time.Hour} }})
	w := s.team()
	in := "?workspace_id=" + w.id
	ask := `{"model":"demo/scripted","messages":[{"role":"user","content":"Say hello"}]`
	one := s.do("POST", "/tools/ai/chat"+in, w.editor.token, ask+`}`).expect(200).expectAt("model", "demo/scripted").expectAt("stop_reason", "end_turn").expectAt("cost_usd", 0).expectAt("demo", true)
	if one.text("content") == "" || one.Header.Get("RateLimit-Remaining") != "4" {
		t.Errorf("got %s, %v", one.Body, one.Header)
	}
	streamed := s.do("POST", "/tools/ai/chat"+in, w.editor.token, ask+`,"stream":true}`).expect(200)
	text := string(streamed.Body)
	if !strings.HasPrefix(streamed.Header.Get("Content-Type"), "text/event-stream") || strings.Count(text, "event: delta") < 1 || strings.Count(text, "event: result") != 1 {
		t.Errorf("streamed %s", text)
	}
	s.do("POST", "/tools/ai/chat"+in, w.editor.token, strings.Replace(ask, "demo/scripted", "nobody/none", 1)+`,"stream":true}`).problem(422, "invalid").expectAt("code", "unknown_model")
	s.do("POST", "/tools/ai/chat"+in, w.viewer.token, ask+`}`).problem(403, "forbidden")
	if n := s.booked(`provider = 'demo' AND workspace_id = '` + w.id + `' AND user_id = '` + w.editor.id + `' AND outcome = 'answered'`); n != 2 {
		t.Errorf("%d answers are in the ledger", n)
	}
	s.do("POST", "/budgets", w.owner.token, map[string]any{"workspace_id": w.id, "scope": "workspace", "period": "day", "max_tokens": 1}).expect(201)
	s.do("POST", "/tools/ai/chat"+in, w.editor.token, ask+`}`).problem(http.StatusPaymentRequired, "budget_exceeded")
	s.do("POST", "/tools/ai/chat"+in, w.editor.token, ask+`,"stream":true}`).problem(http.StatusPaymentRequired, "budget_exceeded")
	over := s.do("POST", "/tools/ai/chat"+in, w.editor.token, ask+`}`).problem(429, "too_many").expectAt("code", "ai")
	if over.Header.Get("Retry-After") == "" {
		t.Error("it is not said when to come back")
	}
}

func TestToolsOfServersAreListedAndUsedByHand(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	in := "?workspace_id=" + w.id
	s.do("GET", "/tools"+in+"&category=mcp", w.viewer.token, nil).expect(200).expectAt("total", 1).expectAt("items.0.id", "mcp/notes/write.note").expectAt("items.0.risk", "medium")
	s.do("GET", "/tools/mcp/notes/write.note"+in, w.viewer.token, nil).expect(200).expectAt("title", "Write")
	s.do("GET", "/tools/mcp/notes/other"+in, w.viewer.token, nil).problem(404, "not_found")
	outsider := s.signIn("outsider@example.com")
	s.do("GET", "/tools"+in, outsider.token, nil).problem(404, "not_found")
	s.do("GET", "/tools/mcp/notes/write.note"+in, outsider.token, nil).problem(404, "not_found")
	for _, path := range []string{"/tools/mcp/notes/write.note/call", "/tools/mcp%2Fnotes%2Fwrite.note/call"} {
		s.do("POST", path+in, w.editor.token, `{"arguments":{"text":"hello"}}`).expect(200).expectAt("text", "written in "+w.id)
		bad := s.do("POST", path+in, w.editor.token, `{"arguments":{"text":7}}`).problem(422, "invalid")
		if at := bad.locations(); len(at) != 1 || at[0] != "body.arguments.text" {
			t.Errorf("%s: the faults are at %v", path, at)
		}
		s.do("POST", path+in, w.viewer.token, `{"arguments":{"text":"hello"}}`).problem(403, "forbidden")
		s.do("POST", path+in, outsider.token, `{"arguments":{"text":"hello"}}`).problem(404, "not_found")
	}
	if n := s.booked(`tool = 'mcp/notes/write.note' AND outcome = 'answered' AND workspace_id = '` + w.id + `'`); n != 2 {
		t.Errorf("%d calls are in the ledger", n)
	}
}

func TestCallsOfToolsArePassedBack(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	head := `{"model":"caller/scripted","tools":[{"name":"look","input_schema":{"type":"object"}},{"name":"listen"}],"messages":[{"role":"user","content":"x"}`
	s.do("POST", "/tools/ai/chat", p.token, head+`]}`).expect(200).expectAt("stop_reason", "tool_use").expectAt("content", "").
		expectAt("tool_calls.0.id", "call-look").expectAt("tool_calls.0.arguments.x", 1).expectAt("tool_calls.1.name", "listen")
	streamed := s.do("POST", "/tools/ai/chat", p.token, head+`],"stream":true}`).expect(200)
	if !strings.Contains(string(streamed.Body), `"call-listen"`) {
		t.Errorf("streamed %s", streamed.Body)
	}
	called := head + `,{"role":"assistant","tool_calls":[{"id":"a","name":"look","arguments":{"x":1}},{"id":"b","name":"listen"}]}`
	s.do("POST", "/tools/ai/chat", p.token, called+`,{"role":"tool","tool_call_id":"b","content":"noise"},{"role":"tool","tool_call_id":"a","content":"dark","failed":true}]}`).expect(200).
		expectAt("content", "b listen said noise false. a look said dark true. ")
	for messages, where := range map[string]string{
		called + `]}`: "body.messages[1].tool_calls body.messages[1].tool_calls",
		called + `,{"role":"tool","tool_call_id":"b","content":"x"},{"role":"user","content":"y"}]}`: "body.messages[3].role",
		head + `,{"role":"tool","tool_call_id":"b","content":"x"}]}`:                                 "body.messages[1].tool_call_id",
		head + `,{"role":"user"}]}`:                                         "body.messages[1].content",
		head + `,{"role":"user","tool_calls":[{"id":"a","name":"look"}]}]}`: "body.messages[1].tool_calls",
		strings.Replace(head, `"listen"`, `"look"`, 1) + `]}`:               "body.tools[1].name",
	} {
		if at := strings.Join(s.do("POST", "/tools/ai/chat", p.token, messages).problem(422, "invalid").locations(), " "); at != where {
			t.Errorf("%s: the faults are at %s", messages, at)
		}
	}
}
