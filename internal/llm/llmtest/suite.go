package llmtest

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"agentstudio/internal/llm"
)

// Options says what a provider's wire format has.
type Options struct {
	Model       string // the name to ask for; "test-model" when empty
	Thinking    bool   // thinking streams and goes back with its signature
	CacheWrites bool   // what was written to the cache is reported
}

// Conform holds a provider to the contract of llm.Model, alone and in
// llm.Retry and llm.Meter.
func Conform(t *testing.T, stand Stand, o Options) {
	if o.Model == "" {
		o.Model = "test-model"
	}
	s := suite{stand: stand, o: o}
	for name, run := range map[string]func(*testing.T){
		"text streams in order":           s.textStreams,
		"without a listener":              s.withoutListener,
		"stop reasons":                    s.stopReasons,
		"usage is exact":                  s.usageIsExact,
		"tools over two turns":            s.toolsOverTwoTurns,
		"odd arguments are passed on":     s.oddArguments,
		"many calls at once":              s.manyAtOnce,
		"rejections":                      s.rejections,
		"an error in the middle":          s.errorInTheMiddle,
		"broken answers":                  s.brokenAnswers,
		"cancel closes the connection":    s.cancelCloses,
		"cancel in the middle":            s.cancelInTheMiddle,
		"retry waits as long as told":     s.retryWaits,
		"retry stops at the first piece":  s.retryStopsAtFirstPiece,
		"retry leaves final faults alone": s.retryLeavesFinalFaults,
		"meter prices to the micro":       s.meterPrices,
		"meter records failures":          s.meterRecordsFailures,
	} {
		t.Run(name, run)
	}
	if o.Thinking {
		t.Run("thinking goes back over turns", s.thinkingGoesBack)
	}
}

type suite struct {
	stand Stand
	o     Options
}

func (s suite) ask(messages ...llm.Message) llm.Request {
	if len(messages) == 0 {
		messages = []llm.Message{llm.Text(llm.User, "Say something.")}
	}
	return llm.Request{Model: s.o.Model, System: "You are a test.", Messages: messages, MaxTokens: 4096}
}

func weatherTool() []llm.ToolSpec {
	return []llm.ToolSpec{{Name: "weather", Description: "Tells the weather of a city.",
		Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`)}}
}

// generate asks once and returns the parts that came with the answer.
func generate(t *testing.T, m llm.Model, req llm.Request) (*llm.Response, []llm.Part, error) {
	t.Helper()
	var parts []llm.Part // unguarded: the race detector sees a part that comes from elsewhere
	r, err := m.Generate(t.Context(), req, func(p llm.Part) { parts = append(parts, p) })
	if err == nil && r == nil {
		t.Fatal("neither an answer nor an error came")
	}
	return r, parts, err
}

// texts joins the parts of a type.
func texts(parts []llm.Part, of llm.PartType, id string) string {
	var all strings.Builder
	for _, p := range parts {
		if p.Type == of && p.ID == id {
			all.WriteString(p.Text)
		}
	}
	return all.String()
}

func (s suite) textStreams(t *testing.T) {
	pieces := []string{"Grüße", " aus ", "Zür", "ich \U0001F3D4\n", "\n- ende"}
	p, j := s.stand(t, Reply{Text: pieces, Usage: llm.Usage{Input: 9, Output: 7}})
	r, parts, err := generate(t, p, s.ask())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, part := range parts {
		if part.Type != llm.TextPart || part.ID != "" || part.Name != "" {
			t.Errorf("got the part %+v, want text alone", part)
		}
		got = append(got, part.Text)
	}
	if !slices.Equal(got, pieces) {
		t.Errorf("streamed %q, want %q", got, pieces)
	}
	if whole := strings.Join(pieces, ""); r.Text() != whole || r.Message.Role != llm.Assistant || len(r.Message.Content) != 1 {
		t.Errorf("got %+v, want one text %q of the assistant", r.Message, whole)
	}
	if want := p.Name() + "/" + s.o.Model; r.Model != want || r.CostMicros != nil || r.Demo {
		t.Errorf("got model %q, cost %v, demo %v; want %q and no cost", r.Model, r.CostMicros, r.Demo, want)
	}
	if n := len(j.Requests()); n != 1 {
		t.Errorf("%d requests were sent, want 1", n)
	}
	if sent := sent(t, j, 0); !strings.Contains(sent, "You are a test.") || !strings.Contains(sent, "Say something.") || !strings.Contains(sent, s.o.Model) {
		t.Errorf("the request lacks the model, system prompt or message: %s", sent)
	}
}

// sent returns a request's body as JSON.
func sent(t *testing.T, j *Journal, n int) string {
	t.Helper()
	all := j.Requests()
	if n >= len(all) {
		t.Fatalf("%d requests arrived, want more than %d", len(all), n)
	}
	text, err := json.Marshal(all[n].Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (s suite) withoutListener(t *testing.T) {
	p, _ := s.stand(t, Reply{Text: []string{"a", "b"}})
	if r, err := p.Generate(t.Context(), s.ask(), nil); err != nil || r.Text() != "ab" {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func (s suite) stopReasons(t *testing.T) {
	for _, stop := range []llm.StopReason{llm.EndTurn, llm.MaxTokens, llm.Refusal} {
		p, _ := s.stand(t, Reply{Text: []string{"so far"}, Stop: stop, Usage: llm.Usage{Input: 3, Output: 2}})
		r, _, err := generate(t, p, s.ask())
		if err != nil || r.StopReason != stop || r.Text() != "so far" || r.Usage.Output != 2 {
			t.Errorf("%s: got %+v, %v", stop, r, err)
		}
	}
}

// used is a usage the wire format can tell.
func (s suite) used() llm.Usage {
	u := llm.Usage{Input: 1_234, Output: 567, CacheRead: 890}
	if s.o.CacheWrites {
		u.CacheWrite = 45
	}
	return u
}

func (s suite) usageIsExact(t *testing.T) {
	p, _ := s.stand(t, Reply{Text: []string{"x"}, Usage: s.used()}, Reply{Text: []string{"x"}, NoUsage: true})
	if r, _, err := generate(t, p, s.ask()); err != nil || r.Usage != s.used() || r.UsageUnknown {
		t.Fatalf("got %+v, %v; want the usage %+v", r, err, s.used())
	}
	if r, _, err := generate(t, p, s.ask()); err != nil || r.Usage != (llm.Usage{}) || !r.UsageUnknown {
		t.Fatalf("got %+v, %v; want a usage that is not known", r, err)
	}
}

func (s suite) toolsOverTwoTurns(t *testing.T) {
	calls := []ToolCall{{ID: "call_a1", Name: "weather", Arguments: `{"city":"Bern"}`}, {ID: "call_b2", Name: "weather", Arguments: `{"city":"Genève"}`}}
	p, j := s.stand(t, Reply{Text: []string{"Let me look."}, ToolCalls: calls}, Reply{Text: []string{"Sun and rain."}})
	req := s.ask()
	req.Tools = weatherTool()
	r, parts, err := generate(t, p, req)
	if err != nil || r.StopReason != llm.ToolUse || r.Text() != "Let me look." || len(r.ToolCalls()) != 2 {
		t.Fatalf("got %+v, %v; want two calls", r, err)
	}
	for i, call := range r.ToolCalls() {
		want := calls[i]
		if call.ID != want.ID || call.Name != want.Name || string(call.Arguments) != want.Arguments {
			t.Errorf("got the call %+v with %s, want %+v", call, call.Arguments, want)
		}
		first := slices.IndexFunc(parts, func(p llm.Part) bool { return p.ID == want.ID })
		if first < 0 || parts[first].Type != llm.ToolCallPart || parts[first].Name != want.Name || texts(parts, llm.ToolCallPart, want.ID) != want.Arguments {
			t.Errorf("the parts %+v do not tell of %+v", parts, want)
		}
	}
	req.Messages = append(req.Messages, r.Message,
		llm.Message{Role: llm.Tool, Content: []llm.Block{{Type: llm.ToolResultBlock, ID: "call_a1", Name: "weather", Text: "sun over the Aare"}}},
		llm.Message{Role: llm.Tool, Content: []llm.Block{{Type: llm.ToolResultBlock, ID: "call_b2", Name: "weather", Text: "no station there", Failed: true}}})
	r, _, err = generate(t, p, req)
	if err != nil || r.Text() != "Sun and rain." || r.StopReason != llm.EndTurn {
		t.Fatalf("got %+v, %v", r, err)
	}
	for _, want := range []string{"call_a1", "call_b2", "sun over the Aare", "no station there", "Let me look.", "Tells the weather of a city."} {
		if body := sent(t, j, 1); !strings.Contains(body, want) {
			t.Errorf("the second request lacks %q: %s", want, body)
		}
	}
}

func (s suite) oddArguments(t *testing.T) {
	p, _ := s.stand(t, Reply{ToolCalls: []ToolCall{{ID: "call_1", Name: "weather", Arguments: `{"city":`}, {ID: "call_2", Name: "weather"}}}, Reply{Text: []string{"ok"}})
	req := s.ask()
	req.Tools = weatherTool()
	r, _, err := generate(t, p, req)
	if err != nil || len(r.ToolCalls()) != 2 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if broken, empty := string(r.ToolCalls()[0].Arguments), string(r.ToolCalls()[1].Arguments); broken != `{"city":` || empty != `{}` {
		t.Errorf("got the arguments %q and %q", broken, empty)
	}
	// Callers keep what is no JSON as a text: it must be fit to go back.
	r.Message.Content[0].Arguments = json.RawMessage(`"{\"city\":"`)
	req.Messages = append(req.Messages, r.Message, llm.Message{Role: llm.Tool, Content: []llm.Block{
		{Type: llm.ToolResultBlock, ID: "call_1", Text: "no JSON", Failed: true}, {Type: llm.ToolResultBlock, ID: "call_2", Text: ""}}})
	if _, _, err := generate(t, p, req); err != nil {
		t.Error(err)
	}
}

func (s suite) manyAtOnce(t *testing.T) {
	p, _ := s.stand(t, Reply{Text: []string{"one ", "and ", "only"}, Usage: llm.Usage{Input: 1, Output: 2}})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			said := ""
			r, err := p.Generate(t.Context(), s.ask(), func(p llm.Part) { said += p.Text })
			if err != nil || said != "one and only" || r.Text() != said {
				t.Errorf("got %+v (streamed %q), %v", r, said, err)
			}
		})
	}
	all.Wait()
}

func (s suite) thinkingGoesBack(t *testing.T) {
	const thought, signature = "Rain follows sun.", "c2lnbmF0dXJl/+=="
	p, j := s.stand(t,
		Reply{Thinking: thought, Signature: signature, ToolCalls: []ToolCall{{ID: "call_1", Name: "weather", Arguments: `{"city":"Bern"}`}}},
		Reply{Text: []string{"Sun."}})
	req := s.ask()
	req.Tools, req.ThinkingTokens = weatherTool(), 2048
	r, parts, err := generate(t, p, req)
	if err != nil || len(r.Message.Content) != 2 {
		t.Fatalf("got %+v, %v; want thinking and a call", r, err)
	}
	if b := r.Message.Content[0]; b.Type != llm.ThinkingBlock || b.Text != thought || b.Signature != signature || r.Text() != "" {
		t.Errorf("got the block %+v", b)
	}
	if got := texts(parts, llm.ThinkingPart, ""); got != thought || parts[0].Type != llm.ThinkingPart {
		t.Errorf("streamed the thinking %q", got)
	}
	req.Messages = append(req.Messages, r.Message, llm.Message{Role: llm.Tool, Content: []llm.Block{{Type: llm.ToolResultBlock, ID: "call_1", Text: "sun"}}})
	if r, _, err := generate(t, p, req); err != nil || r.Text() != "Sun." {
		t.Fatalf("got %+v, %v", r, err)
	}
	if body := sent(t, j, 1); !strings.Contains(body, thought) || !strings.Contains(body, signature) {
		t.Errorf("the thinking did not go back: %s", body)
	}
	// Thinking that nobody signed, say of another provider, must not go back.
	req.Messages[1].Content[0].Signature = ""
	if _, _, err := generate(t, p, req); err != nil {
		t.Fatal(err)
	}
	if body := sent(t, j, 2); strings.Contains(body, thought) {
		t.Errorf("unsigned thinking went back: %s", body)
	}
}
