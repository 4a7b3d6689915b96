package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"agentstudio/internal/app"
	"agentstudio/internal/config"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/llmtest"
)

const askAgent = `
name: Ask
nodes:
  - {id: start, kind: manual-trigger}
  - id: agent
    kind: agent
    config: {model: MODEL, prompt: "What is 17 * 23?", tools: [calculator], limits: {max_steps: 5, max_cost_usd: 1}}
    retry: {max_attempts: 1}
connections: [{source: start, target: agent}]
`

// servers are the stand-ins of both protocols.
func servers() map[string]func(t *testing.T, cfg *config.Config, replies ...llmtest.Reply) (model string, j *llmtest.Journal) {
	return map[string]func(t *testing.T, cfg *config.Config, replies ...llmtest.Reply) (string, *llmtest.Journal){
		"anthropic": func(t *testing.T, cfg *config.Config, replies ...llmtest.Reply) (string, *llmtest.Journal) {
			url, j := llmtest.Anthropic(t, replies...)
			cfg.AnthropicBaseURL, cfg.AnthropicAPIKey = url, "sk-ant-test"
			return "anthropic/claude-sonnet-4-5", j
		},
		"openai": func(t *testing.T, cfg *config.Config, replies ...llmtest.Reply) (string, *llmtest.Journal) {
			url, j := llmtest.OpenAI(t, replies...)
			cfg.OpenAIBaseURL, cfg.OpenAIAPIKey = url, "sk-test"
			return "openai/gpt-5-mini", j
		},
	}
}

func ask(t *testing.T, studio *app.App, model string, watch func(event.Event)) *execution.Execution {
	t.Helper()
	by, err := studio.Operator(t.Context(), "you@studio.local")
	if err != nil {
		t.Fatal(err)
	}
	d, err := studio.Codec.Decode([]byte(strings.ReplaceAll(askAgent, "MODEL", model)))
	if err != nil {
		t.Fatal(err)
	}
	x, err := studio.RunOnce(t.Context(), by, d, json.RawMessage(`{}`), false, watch)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestAgentWorksWithServersOfBothProtocols(t *testing.T) {
	for name, stand := range servers() {
		t.Run(name, func(t *testing.T) {
			cfg := settings(t.TempDir())
			model, journal := stand(t, &cfg,
				llmtest.Reply{Text: []string{"Let me ", "work it out."}, ToolCalls: []llmtest.ToolCall{{ID: "call_1", Name: "calculator", Arguments: `{"expression":"17 * 23"}`}}, Usage: llm.Usage{Input: 120, Output: 30}},
				llmtest.Reply{Text: []string{"It is ", "391."}, Usage: llm.Usage{Input: 160, Output: 8, CacheRead: 100}})
			studio, _, _ := open(t, cfg)
			var streamed strings.Builder
			x := ask(t, studio, model, func(e event.Event) {
				var d struct{ Kind, Text string }
				if e.Type == event.NodeOutput && json.Unmarshal(e.Data, &d) == nil && d.Kind == "text" {
					streamed.WriteString(d.Text)
				}
			})
			if x.Status != execution.Completed {
				t.Fatalf("%s: %+v", x.Status, x.Error)
			}
			if got := streamed.String(); got != "Let me work it out.It is 391." {
				t.Errorf("streamed %q", got)
			}
			if x.Usage.Input != 280 || x.Usage.Output != 38 || x.Usage.CacheRead != 100 || x.Usage.CostUnknown {
				t.Errorf("counted %+v", x.Usage)
			}
			price, known := prices(t).Find(model)
			want := int64(280**price.Input + 38**price.Output + 100**price.CacheRead + 0.5)
			if !known || x.Usage.CostMicros != want {
				t.Errorf("cost %d micro-dollars, want %d", x.Usage.CostMicros, want)
			}
			requests := journal.Requests()
			last, err := json.Marshal(requests[len(requests)-1].Body)
			if err != nil || len(requests) != 2 || !strings.Contains(string(last), "391") || !strings.Contains(string(last), "call_1") {
				t.Errorf("asked %d times, last with %s", len(requests), last)
			}
			if !strings.Contains(string(x.Output), `"text":"It is 391."`) {
				t.Errorf("output %s", x.Output)
			}
		})
	}
}

func prices(t *testing.T) *llm.Prices {
	t.Helper()
	p, err := llm.DefaultPrices()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestServersThatMisbehaveAreBorneOrNamed(t *testing.T) {
	good := llmtest.Reply{Text: []string{"fine"}, Usage: llm.Usage{Input: 10, Output: 2}}
	for name, c := range map[string]struct {
		replies []llmtest.Reply
		asked   int
		code    string // "": it completes all the same
	}{
		"too many, then fine":          {[]llmtest.Reply{{Status: 429, ErrorType: "rate_limit_error", RetryAfter: "0.05"}, good}, 2, ""},
		"overloaded, then fine":        {[]llmtest.Reply{{Status: 529, ErrorType: "overloaded_error"}, good}, 2, ""},
		"cut before it began":          {[]llmtest.Reply{{Text: []string{"never ", "seen"}, CutBefore: true}, good}, 2, ""},
		"cut in the middle":            {[]llmtest.Reply{{Text: []string{"be", "gun"}, CutAfter: true}, good}, 1, "stream_cut"},
		"garbage":                      {[]llmtest.Reply{{Garbage: true}, good}, 1, "bad_response"},
		"a request that is refused":    {[]llmtest.Reply{{Status: 400, ErrorType: "invalid_request_error", ErrorText: "max_tokens is too large"}}, 1, "refused_request"},
		"a key that is not accepted":   {[]llmtest.Reply{{Status: 401, ErrorType: "authentication_error"}}, 1, "not_configured"},
		"a model that will not answer": {[]llmtest.Reply{{Stop: llm.Refusal, Text: []string{"no"}}}, 1, "refused"},
	} {
		for protocol, stand := range servers() {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				t.Parallel()
				cfg := settings(t.TempDir())
				model, journal := stand(t, &cfg, c.replies...)
				studio, _, _ := open(t, cfg)
				x := ask(t, studio, model, func(event.Event) {})
				if n := len(journal.Requests()); n != c.asked {
					t.Errorf("asked %d times, want %d", n, c.asked)
				}
				switch {
				case c.code == "" && x.Status != execution.Completed:
					t.Errorf("%s: %+v", x.Status, x.Error)
				case c.code != "" && (x.Status != execution.Failed || x.Error.Code != c.code):
					t.Errorf("%s: %+v, want code %s", x.Status, x.Error, c.code)
				}
			})
		}
	}
}
