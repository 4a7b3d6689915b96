package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
// run, and r.asks says what to wait for. A hand-over comes last, and sees what
// the others gave.
func (r *run) use(ctx context.Context, turn int, calls []llm.Block) error {
	refusals := make([]string, len(calls))
	waits := make([]bool, len(calls))
	allowed := slices.Clone(calls)
	r.asks = nil
	for i, c := range calls {
		var ask *node.Ask
		var err error
		if allowed[i], refusals[i], ask, err = r.leave(ctx, r.toolStep(turn, i), c); err != nil {
			return err
		}
		if waits[i] = ask != nil; waits[i] {
			r.asks = append(r.asks, *ask)
		}
		if r.elsewhere[c.Name] {
			waits[i], r.left = true, append(r.left, c)
		}
	}
	if err := r.rested(ctx, turn, calls); err != nil {
		return err
	}
	goes := r.handoffs(calls, refusals)
	if goes >= 0 && len(r.left) > 0 {
		refusals[goes], goes = "the other calls need their results first: hand over after that", -1
	}
	if goes >= 0 {
		waits[goes] = true
	}
	results, err := r.callAll(ctx, turn, allowed, refusals, waits)
	if err != nil || len(r.asks) > 0 {
		return err
	}
	if goes >= 0 {
		said := llm.Message{Role: llm.Tool, Content: slices.Delete(slices.Clone(results), goes, goes+1)}
		return r.handOver(ctx, r.toolStep(turn, goes), r.others[calls[goes].Name], calls[goes], append(slices.Clone(r.messages), said))
	}
	if len(r.left) > 0 {
		r.keepOwn(calls, results)
		return nil
	}
	message := llm.Message{Role: llm.Tool, Content: results}
	r.add(message)
	r.unsaid = []llm.Message{message}
	for i, c := range calls {
		if n := r.repeats.add(c, results[i]); n >= maxRepeats {
			return fault.New(fault.Invalid, "%s called %s %d times in a row with the same arguments and got the same result", r.title(), c.Name, n).WithCode("loop_detected")
		}
	}
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
			results[i], errs[i] = r.one(ctx, r.toolStep(turn, i), c, refusals[i])
		})
	}
	all.Wait()
	var next *calling
	for _, err := range errs {
		var waits *asking
		var child *calling
		switch {
		case errors.As(err, &waits):
			r.asks = append(r.asks, waits.asks...)
		case errors.As(err, &child):
			if next == nil { // the others have their turn when this one has ended
				next = child
			}
		case err != nil:
			return nil, err
		}
	}
	if next != nil && len(r.asks) == 0 {
		return nil, next
	}
	return results, nil
}

// one runs a call as a durable step. Whatever the tool says, a failure
// included, is for the model; an error ends the run.
func (r *run) one(ctx context.Context, name string, c llm.Block, refusal string) (llm.Block, error) {
	step := node.Step{Name: name, Kind: "tool", Title: c.Name, Input: c.Arguments}
	o, isAgent := r.others[c.Name]
	if isAgent {
		step.Kind, step.Title = "agent", o.Name
	}
	recorded, err := r.call.Step(ctx, step, func(ctx context.Context) (node.StepResult, error) {
		if refusal != "" {
			return node.StepResult{Output: outcome{Text: refusal, Failed: true}, Failed: true}, nil
		}
		if isAgent { // its own calls are bounded, each by what is left then
			o, err := r.delegate(ctx, name, o, c.Arguments)
			return node.StepResult{Output: o, Failed: o.Failed}, err
		}
		ctx, cancel, err := r.bounded(ctx)
		if err != nil {
			return node.StepResult{}, err
		}
		defer cancel()
		if o, answered, err := r.viaWorkflow(ctx, name, c); answered || err != nil {
			return node.StepResult{Output: o, Failed: o.Failed}, err
		}
		o, usage := r.do(ctx, r.call.Key+"/"+name, c)
		if err := ctx.Err(); err != nil {
			return node.StepResult{}, context.Cause(ctx)
		}
		r.spend(0, usage)
		return node.StepResult{Output: o, Failed: o.Failed, Usage: usage}, nil
	})
	if err != nil {
		return llm.Block{}, err
	}
	var told outcome
	if err := json.Unmarshal(recorded, &told); err != nil {
		return llm.Block{}, fmt.Errorf("read the recorded result of %s: %w", c.Name, err)
	}
	short, _, _ := strings.Cut(told.Text, "\n")
	d := r.delta("tool_result", c.Name+": "+short[:min(len(short), 200)])
	d.Data = map[string]any{"id": c.ID, "name": c.Name, "failed": told.Failed}
	r.call.Delta(d)
	return llm.Block{Type: llm.ToolResultBlock, ID: c.ID, Name: c.Name, Text: told.Text, Failed: told.Failed}, nil
}

func (r *run) do(ctx context.Context, key string, c llm.Block) (outcome, node.Usage) {
	refuse := func(text string) (outcome, node.Usage) { return outcome{Text: text, Failed: true}, node.Usage{} }
	t, listed := r.tools[c.Name]
	if !listed {
		return refuse(fmt.Sprintf("there is no tool %q%s", c.Name, fault.DidYouMean(c.Name, r.offered())))
	}
	args := c.Arguments
	if len(bytes.TrimSpace(args)) == 0 {
		args = json.RawMessage("{}")
	}
	if err := r.fits(c.Name, args); err != nil {
		return refuse(words(err))
	}
	result, err := r.runner.gate.Use(ctx, t, tool.Call{AgentID: r.settings.AgentID, Above: r.above(), APIKeyID: r.call.APIKeyID, WorkspaceID: r.call.WorkspaceID, WorkflowID: r.call.WorkflowID,
		UserID: r.call.UserID, ExecutionID: r.call.ExecutionID, NodeID: r.call.NodeID, Key: key, ID: c.ID, Args: args, Progress: r.progress(c)})
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

// offered are the names of what the model may call.
func (r *run) offered() []string {
	var names []string
	for _, s := range r.specs {
		names = append(names, s.Name)
	}
	return names
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

// repeats counts calls in a row that are the same and give the same.
type repeats struct {
	last string
	n    int
}

func (r *repeats) add(c, result llm.Block) int {
	var key bytes.Buffer
	if json.Compact(&key, c.Arguments) != nil {
		key.Reset()
		key.Write(c.Arguments)
	}
	fmt.Fprintf(&key, " %s %t %s", c.Name, result.Failed, result.Text)
	if key.String() != r.last {
		r.last, r.n = key.String(), 0
	}
	r.n++
	return r.n
}
