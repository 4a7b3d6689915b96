package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/agent"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/scripted"
	"agentstudio/internal/node"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/tool"
)

// crew is a coordinator, two agents it calls at once and one that those call;
// it counts every answer of the model and every call of the tool, by the place
// in the run.
type crew struct {
	mu       sync.Mutex
	answered map[string]int // execution/agent/turn
	ran      map[string]int // the tool's key
}

func (c *crew) Model([]string) (llm.Model, error) { return c, nil }
func (*crew) ContextTokens([]string) int          { return 0 }

func (c *crew) Generate(ctx context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	if err := rest(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.answered[fmt.Sprintf("%s/%s/%d", req.Caller.ExecutionID, req.Caller.Agent, req.Turn+1)]++
	c.mu.Unlock()
	return scripted.Provider{}.Generate(ctx, req, onPart)
}

// rest waits a moment that nobody can foresee.
func rest(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(rand.IntN(2500)) * time.Microsecond):
		return nil
	case <-ctx.Done():
		return fault.Wrap(fault.Cancelled, ctx.Err(), "cut off")
	}
}

func (*crew) Find(_ context.Context, _, id string) (*agent.Agent, error) {
	line := func(text string) json.RawMessage { return json.RawMessage(text) }
	d, known := map[string]agent.Definition{
		"lead":  {Name: "Lead", SubAgents: []string{"left", "right"}, Script: line(`[{"tool_calls":[{"name":"agent_left","arguments":{"task":"a"}},{"name":"agent_right","arguments":{"task":"b"}}]},{"tool_calls":[{"name":"mark","arguments":{"n":1}}]},{"text":"led"}]`)},
		"left":  {Name: "Left", Tools: []string{"mark"}, SubAgents: []string{"deep"}, Script: line(`[{"tool_calls":[{"name":"mark","arguments":{"n":1}},{"name":"mark","arguments":{"n":2}}]},{"tool_calls":[{"name":"agent_deep","arguments":{"task":"c"}}]},{"text":"left"}]`)},
		"right": {Name: "Right", Tools: []string{"mark"}, Script: line(`[{"tool_calls":[{"name":"mark","arguments":{"n":1}}]},{"tool_calls":[{"name":"mark","arguments":{"n":2}}]},{"text":"right"}]`)},
		"deep":  {Name: "Deep", Tools: []string{"mark"}, Script: line(`[{"tool_calls":[{"name":"mark","arguments":{"n":1}}]},{"text":"deep"}]`)},
	}[id]
	if !known {
		return nil, fault.New(fault.NotFound, "nobody")
	}
	if id == "lead" {
		d.Tools = []string{"mark"}
	}
	d.SystemPrompt = id
	return &agent.Agent{ID: id, Version: 1, Definition: d}, nil
}

type markArgs struct {
	N int `json:"n" jsonschema:"required"`
}

func (c *crew) runner() *agent.Runner { return c.with(c) }

// with returns the runner of the crew whose models are others.
func (c *crew) with(models agent.Models) *agent.Runner {
	mark := tool.Define(tool.Spec{Name: "mark", Title: "Mark", Effect: true}, func(ctx context.Context, call tool.Call, _ markArgs) (tool.Result, error) {
		if err := rest(ctx); err != nil {
			return tool.Result{}, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ran[call.Key]++
		return tool.Result{Value: "marked"}, nil
	})
	return agent.NewRunner(models, tool.NewCatalogue(mark), agent.RunnerConfig{Saved: c})
}

// TestKilledAgentsGoOnAtTheirTurn stops the engine at random moments, without
// letting anything end, while agents call agents. No turn whose answer was
// committed is asked again in any of them, and no tool that reported success
// is called again.
func TestKilledAgentsGoOnAtTheirTurn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := &crew{answered: map[string]int{}, ran: map[string]int{}}
		runner := c.runner()
		p := newProbes()
		p.on("agent", func(ctx context.Context, call node.Call, _ probeConfig) (node.Result, error) {
			out, err := runner.Run(ctx, call, agent.Settings{AgentID: "lead"}, []llm.Block{{Type: llm.TextBlock, Text: "go"}})
			if err != nil {
				return node.Result{}, err
			}
			return node.Output("", map[string]any{"text": out.Text, "input": out.Usage.Input}), nil
		})
		s := start(t, db, p, nil)
		id := s.define(`
name: crew
nodes: [{id: start, kind: manual-trigger}, {id: agent, kind: probe}]
connections: [{source: start, target: agent}]
`)
		const executions, kills = 20, 100 / 2 // on each of two databases
		var ids []string
		for range executions {
			ids = append(ids, s.create(id, nil).ID)
		}
		settled, usage := map[string]int{}, ""
		for range kills {
			<-time.After(time.Duration(rand.IntN(9000)) * time.Microsecond)
			s.stop()
			c.mu.Lock()
			for _, id := range ids {
				for key := range committed(t, s, id) {
					settled[key] = c.answered[key] + c.ran[key]
				}
			}
			c.mu.Unlock()
			s = start(t, db, p, s.programs)
		}
		for _, id := range ids {
			x := s.wait(id)
			s.expectStatus(x, execution.Completed)
			if usage == "" {
				usage = string(x.Output)
			}
			if string(x.Output) != usage || len(committed(t, s, id)) != 11+6 {
				t.Errorf("execution %s answered %s with %d steps, another %s", id, x.Output, len(committed(t, s, id)), usage)
			}
		}
		if len(settled) == 0 {
			t.Error("no kill came after a step: nothing was shown")
		}
		for key, n := range settled {
			if got := c.answered[key] + c.ran[key]; got != n || n == 0 {
				t.Errorf("%s was committed after %d calls and called again: %d", key, n, got)
			}
		}
	})
}

// committed returns the turns and tools of an execution that are on disk, as
// the crew counts them.
func committed(t *testing.T, s *studio, id string) map[string]bool {
	t.Helper()
	steps, err := s.store.Steps(context.Background(), "w", id, "agent", "")
	if err != nil {
		t.Fatal(err)
	}
	agents := map[string]string{"": "lead", "turn-1/tool-1/": "left", "turn-1/tool-2/": "right", "turn-1/tool-1/turn-2/tool-1/": "deep"}
	out := map[string]bool{}
	for _, step := range steps {
		at := strings.LastIndex(step.Name, "turn-")
		switch step.Kind {
		case "turn":
			out[fmt.Sprintf("%s/%s/%s", id, agents[step.Name[:at]], step.Name[at+len("turn-"):])] = true
		case "tool":
			out[id+"/agent//"+step.Name] = true
		}
	}
	return out
}
