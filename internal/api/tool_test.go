package api_test

import (
	"context"
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
	}}, scripted.Provider{})
	return toolbox.New(catalogue, demoModels{registry}, book, toolbox.Config{})
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
