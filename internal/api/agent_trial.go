package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"sync"

	"agentstudio/internal/access"
	"agentstudio/internal/agent"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"

	"github.com/danielgtaylor/huma/v2"
)

type testAgentInput struct {
	IDPath
	Body struct {
		Input     string         `json:"input" minLength:"1" maxLength:"1000000"`
		Files     []string       `json:"files,omitempty" maxItems:"20" format:"uuid" doc:"Files of the workspace that the model sees: pictures, PDFs and texts"`
		Variables map[string]any `json:"variables,omitempty"`
		Stream    bool           `json:"stream,omitempty" doc:"Answer with server-sent events"`
	}
}

// AgentTest is how a test of an agent went.
type AgentTest struct {
	Status     string          `json:"status" enum:"completed,failed,waiting" doc:"waiting: a person would be asked now, see asks"`
	Output     string          `json:"output"`
	Data       any             `json:"data,omitempty" doc:"With an output_schema"`
	Model      string          `json:"model,omitempty"`
	StopReason string          `json:"stop_reason,omitempty"`
	Demo       bool            `json:"demo,omitempty" doc:"The offline demo model answered"`
	Error      *AgentTestError `json:"error,omitempty"`
	Asks       []AgentTestAsk  `json:"asks,omitempty"`
	Steps      []AgentTestStep `json:"steps" doc:"What was done, in the order of its end"`
	Tokens     TokenCount      `json:"tokens"`
	CostUSD    *float64        `json:"cost_usd" doc:"null: no price is known for a part of it"`
	DurationMS int64           `json:"duration_ms"`
}

// AgentTestError is why a test failed.
type AgentTestError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// AgentTestAsk is what a person would be asked.
type AgentTestAsk struct {
	Message string `json:"message"`
	Subject any    `json:"subject,omitempty"`
}

// AgentTestStep is one turn or tool call.
type AgentTestStep struct {
	Name       string          `json:"name" doc:"turn-2/tool-1 is the first tool of the second turn"`
	Kind       string          `json:"kind"`
	Title      string          `json:"title"`
	Input      json.RawMessage `json:"input,omitempty"`
	Output     json.RawMessage `json:"output,omitempty"`
	Failed     bool            `json:"failed,omitempty"`
	Tokens     TokenCount      `json:"tokens"`
	CostUSD    *float64        `json:"cost_usd"`
	DurationMS int64           `json:"duration_ms"`
}

// viewCost is nil when a part of it has no price.
func viewCost(u node.Usage) *float64 {
	if u.CostUnknown {
		return nil
	}
	cost := dollars(u.CostMicros)
	return &cost
}

func viewTrialStep(t agent.TrialStep) AgentTestStep {
	return AgentTestStep{Name: t.Name, Kind: t.Kind, Title: t.Title, Input: t.Input, Output: t.Output, Failed: t.Failed, DurationMS: t.Duration.Milliseconds(),
		Tokens: viewTokens(t.Usage), CostUSD: viewCost(t.Usage)}
}

func viewTrial(t *agent.Trial) AgentTest {
	out := AgentTest{Status: "completed", Steps: views(t.Steps, viewTrialStep), DurationMS: t.Duration.Milliseconds(), Tokens: viewTokens(t.Usage), CostUSD: viewCost(t.Usage)}
	if t.Err != nil {
		out.Status, out.Error = "failed", &AgentTestError{Code: string(fault.KindOf(t.Err)), Message: fault.Message(t.Err)}
		if f := fault.As(t.Err); f != nil && f.Code != "" {
			out.Error.Code = f.Code
		}
		return out
	}
	o := t.Output
	out.Output, out.Data, out.Model, out.StopReason, out.Demo = o.Text, o.Data, o.Model, string(o.StopReason), o.Demo
	for _, a := range o.Asks {
		out.Status = "waiting"
		out.Asks = append(out.Asks, AgentTestAsk{Message: a.Message, Subject: a.Subject})
	}
	return out
}

func (s *Server) agentTrialRoutes() {
	stream(s, op{Method: "POST", Path: "/agents/{id}/test", ID: "test-agent", Tag: "agents", Stream: eventStream, Summary: "Run an agent once, outside of any workflow",
		Notes: "Its tools act and its model costs. Answers how it went, a failure included; with stream: true the events are delta, step, log and at the end result. " +
			"Nobody can be asked in a test: where a person would be, it ends with status waiting."}, s.testAgent)
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[AgentTest](), true, "AgentTest")
	s.api.OpenAPI().Paths[base+"/agents/{id}/test"].Post.Responses["200"].Content["application/json"] = &huma.MediaType{Schema: schema}
}

func (s *Server) testAgent(w http.ResponseWriter, r *http.Request, by access.Actor, in *testAgentInput) error {
	trial := agent.TrialInput{Prompt: in.Body.Input, Files: in.Body.Files, Variables: in.Body.Variables}
	if in.Body.Stream {
		return s.streamTrial(w, r, by, in.ID, trial)
	}
	t, err := s.Agents.Try(r.Context(), by, in.ID, trial, agent.Watcher{})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(viewTrial(t))
}

// AgentTestLog is a line that a test logged.
type AgentTestLog struct {
	Level   string `json:"level"`
	Message string `json:"message"`
}

// streamTrial tells a trial as it goes. Whoever stops listening stops it.
func (s *Server) streamTrial(w http.ResponseWriter, r *http.Request, by access.Actor, id string, in agent.TrialInput) error {
	if !s.enter() {
		return fault.New(fault.Unavailable, "the studio is stopping; try again in a moment")
	}
	defer s.live.Done()
	ctx, cancel := context.WithCancel(r.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	events := make(chan passed, 64)
	tell := func(name string, data any) {
		select {
		case events <- passed{name, data}:
		case <-ctx.Done():
		}
	}
	begun := make(chan error, 1)
	running.Go(func() {
		defer close(events)
		t, err := s.Agents.Try(ctx, by, id, in, agent.Watcher{
			Step:  func(t agent.TrialStep) { tell("step", viewTrialStep(t)) },
			Delta: func(d node.Delta) { tell("delta", d) },
			Log:   func(level, message string) { tell("log", AgentTestLog{level, message}) },
		})
		if err != nil {
			begun <- err
			return
		}
		tell("result", viewTrial(t))
	})
	first, more := <-events
	if !more {
		return <-begun // it has told nothing: it did not begin
	}
	s.relay(w, first, events)
	return nil
}
