package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

// maxParallel bounds the tools of one turn that run at the same time.
const maxParallel = 8

// outcome is what a tool call leaves in the record.
type outcome struct {
	Text   string `json:"text"`
	Value  any    `json:"value,omitempty"`
	Failed bool   `json:"failed,omitempty"`
}

// use runs the calls of a turn side by side and gives their results back in
// the order they were asked for. When people are to be asked first, the others
// run, and r.asks says what to wait for.
func (r *run) use(ctx context.Context, turn int, calls []llm.Block) error {
	for _, c := range calls {
		if n := r.repeats.add(c); n >= maxRepeats {
			return fault.New(fault.Invalid, "the agent called %s %d times in a row with the same arguments", c.Name, n).WithCode("loop_detected")
		}
	}
	refusals := make([]string, len(calls))
	waits := make([]bool, len(calls))
	allowed := slices.Clone(calls)
	r.asks = nil
	for i, c := range calls {
		var ask *node.Ask
		var err error
		if allowed[i], refusals[i], ask, err = r.leave(ctx, toolStep(turn, i), c); err != nil {
			return err
		}
		if waits[i] = ask != nil; waits[i] {
			r.asks = append(r.asks, *ask)
		}
	}
	if err := r.rested(ctx, turn, calls); err != nil {
		return err
	}
	results, err := r.callAll(ctx, turn, allowed, refusals, waits)
	if err != nil || len(r.asks) > 0 {
		return err
	}
	message := llm.Message{Role: llm.Tool, Content: results}
	r.messages = append(r.messages, message)
	r.unsaid = []llm.Message{message}
	return nil
}

// callAll makes the calls that may be made now, side by side.
func (r *run) callAll(ctx context.Context, turn int, calls []llm.Block, refusals []string, waits []bool) ([]llm.Block, error) {
	results := make([]llm.Block, len(calls))
	errs := make([]error, len(calls))
	slots := make(chan struct{}, maxParallel)
	var all sync.WaitGroup
	for i, c := range calls {
		if waits[i] {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			results[i], errs[i] = r.one(ctx, toolStep(turn, i), c, refusals[i])
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// one runs a call as a durable step. Whatever the tool says, a failure
// included, is for the model; an error ends the run.
func (r *run) one(ctx context.Context, name string, c llm.Block, refusal string) (llm.Block, error) {
	step := node.Step{Name: name, Kind: "tool", Title: c.Name, Input: c.Arguments}
	recorded, err := r.call.Step(ctx, step, func(ctx context.Context) (node.StepResult, error) {
		if refusal != "" {
			return node.StepResult{Output: outcome{Text: refusal, Failed: true}, Failed: true}, nil
		}
		ctx, cancel, err := r.bounded(ctx)
		if err != nil {
			return node.StepResult{}, err
		}
		defer cancel()
		o, usage := r.do(ctx, r.call.Key+"/"+name, c)
		if err := ctx.Err(); err != nil {
			return node.StepResult{}, context.Cause(ctx)
		}
		return node.StepResult{Output: o, Failed: o.Failed, Usage: usage}, nil
	})
	if err != nil {
		return llm.Block{}, err
	}
	var o outcome
	if err := json.Unmarshal(recorded, &o); err != nil {
		return llm.Block{}, fmt.Errorf("read the recorded result of %s: %w", c.Name, err)
	}
	short, _, _ := strings.Cut(o.Text, "\n")
	r.call.Delta(node.Delta{Kind: "tool_result", Text: c.Name + ": " + short[:min(len(short), 200)], Data: map[string]any{"id": c.ID, "name": c.Name, "failed": o.Failed}})
	return llm.Block{Type: llm.ToolResultBlock, ID: c.ID, Name: c.Name, Text: o.Text, Failed: o.Failed}, nil
}

func (r *run) do(ctx context.Context, key string, c llm.Block) (outcome, node.Usage) {
	refuse := func(text string) (outcome, node.Usage) { return outcome{Text: text, Failed: true}, node.Usage{} }
	t, listed := r.tools[c.Name]
	if !listed {
		return refuse(fmt.Sprintf("there is no tool %q%s", c.Name, fault.DidYouMean(c.Name, r.settings.Tools)))
	}
	args := c.Arguments
	if len(bytes.TrimSpace(args)) == 0 {
		args = json.RawMessage("{}")
	}
	if err := r.runner.tools.Validate(c.Name, args); err != nil {
		return refuse(words(err))
	}
	result, err := t.Run(ctx, tool.Call{WorkspaceID: r.call.WorkspaceID, UserID: r.call.UserID, ExecutionID: r.call.ExecutionID,
		NodeID: r.call.NodeID, Key: key, Args: args})
	if err != nil {
		if fault.As(err) == nil {
			r.call.Log("error", "the tool "+c.Name+" broke", nil)
		}
		o, _ := refuse(words(err))
		return o, result.Usage
	}
	if result.Text == "" {
		text, err := json.Marshal(result.Value)
		if err != nil {
			return refuse("the tool's answer cannot be written as JSON")
		}
		result.Text = string(text)
	}
	return outcome{Text: result.Text, Value: result.Value}, result.Usage
}

// words tells the model what is wrong, every fault of it.
func words(err error) string {
	text := fault.Message(err)
	if f := fault.As(err); f != nil {
		for _, d := range f.Details {
			text += "\n- " + d.Location + ": " + d.Message
		}
	}
	return text
}

// repeats counts identical calls in a row.
type repeats struct {
	last string
	n    int
}

func (r *repeats) add(c llm.Block) int {
	var compact bytes.Buffer
	if json.Compact(&compact, c.Arguments) != nil {
		compact.Reset()
		compact.Write(c.Arguments)
	}
	if key := c.Name + " " + compact.String(); key != r.last {
		r.last, r.n = key, 0
	}
	r.n++
	return r.n
}
