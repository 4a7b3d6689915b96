package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/expr"
	"agentstudio/internal/fault"
	"agentstudio/internal/jsonvalue"
	"agentstudio/internal/node"
	"agentstudio/internal/workflow"
)

// view is what one visit may see of its execution: a snapshot taken by the
// run's goroutine, read by the visit's. Large values are fetched when asked for.
type view struct {
	run     *run
	inputs  []input
	single  bool // one incoming connection: input is its output itself
	nodes   map[string]seen
	item    any
	index   int
	inLoop  bool
	attempt int

	// large are the payloads read so far: each is decoded once for all who look.
	largeMu sync.Mutex
	large   map[string]any
}

// read returns a value's data.
func (v *view) read(ctx context.Context, of value) (any, error) {
	if of.ref == "" {
		return of.data, nil
	}
	v.largeMu.Lock()
	defer v.largeMu.Unlock()
	if data, known := v.large[of.ref]; known {
		return data, nil
	}
	data, err := v.run.read(ctx, of)
	if err != nil {
		return nil, err
	}
	if v.large == nil {
		v.large = map[string]any{}
	}
	v.large[of.ref] = data
	return data, nil
}

type input struct {
	source string
	edge   workflow.Edge
	value  value
}

type seen struct {
	value  value
	status execution.NodeStatus
	failed *execution.Error
}

// viewOf takes the snapshot.
func (r *run) viewOf(t task) *view {
	s := &r.program.Steps[t.step]
	v := &view{run: r, single: len(s.In) <= 1, attempt: max(t.state().run.Attempt, 1)}
	for _, e := range t.frame.progress.Arrived(t.step) {
		edge := r.program.Edges[e]
		v.inputs = append(v.inputs, input{source: r.program.Steps[edge.Source].Node.ID, edge: edge, value: t.frame.node(edge.Source).value})
	}
	refs := s.Refs()
	ids := refs.Nodes
	if refs.AllNodes || s.WantsScope() {
		ids = nil
		for i := range r.program.Steps {
			ids = append(ids, r.program.Steps[i].Node.ID)
		}
	}
	if len(ids) > 0 {
		v.nodes = make(map[string]seen, len(ids))
	}
	for _, id := range ids {
		other, ok := r.program.Step(id)
		if !ok {
			continue
		}
		owner := t.frame.owner(r.program, other.Index)
		if owner == nil || owner.nodes[other.Index] == nil {
			continue
		}
		n := owner.nodes[other.Index]
		v.nodes[id] = seen{value: n.value, status: n.run.Status, failed: n.run.Error}
	}
	for f := t.frame; f != nil; f = f.parent {
		if f.loop != nil {
			v.item, v.index, v.inLoop = f.item, f.index, true
			break
		}
	}
	return v
}

func (v *view) arrived(ctx context.Context) ([]node.Arrival, error) {
	out := make([]node.Arrival, 0, len(v.inputs))
	for _, in := range v.inputs {
		data, err := v.read(ctx, in.value)
		if err != nil {
			return nil, err
		}
		out = append(out, node.Arrival{Source: in.source, SourceHandle: in.edge.SourceHandle, TargetHandle: in.edge.TargetHandle, Value: data})
	}
	return out, nil
}

// input returns what arrived: the one output, or an object by source id. The
// first nodes of a loop's body get the item.
func (v *view) input(ctx context.Context) (any, error) {
	if len(v.inputs) == 0 {
		if v.inLoop {
			return v.item, nil
		}
		return nil, nil
	}
	if v.single {
		return v.read(ctx, v.inputs[0].value)
	}
	out := make(map[string]any, len(v.inputs))
	for _, in := range v.inputs {
		data, err := v.read(ctx, in.value)
		if err != nil {
			return nil, err
		}
		out[in.source] = data
	}
	return out, nil
}

// env builds the names an expression may read: those it does read, and every
// one for kinds that see all.
func (v *view) env(ctx context.Context, refs expr.Refs) (expr.Env, error) {
	r := v.run
	env := make(expr.Env, len(refs.Roots))
	for _, name := range refs.Roots {
		switch name {
		case "trigger":
			env[name] = r.trigger
		case "item":
			env[name] = v.item
		case "index":
			env[name] = v.index
		case "vars":
			env[name] = r.vars()
		case "env":
			env[name] = map[string]any{}
		case "execution":
			env[name] = map[string]any{"id": r.origin.ID, "started_at": r.origin.StartedAt.UTC().Format(time.RFC3339Nano), "attempt": v.attempt}
		case "workflow":
			env[name] = map[string]any{"id": r.x.WorkflowID, "name": r.x.WorkflowName, "version": r.x.WorkflowVersion}
		case "input":
			in, err := v.input(ctx)
			if err != nil {
				return nil, err
			}
			env[name] = in
		case "nodes":
			nodes, err := v.nodesEnv(ctx)
			if err != nil {
				return nil, err
			}
			env[name] = nodes
		}
	}
	return env, nil
}

// nodesEnv is what expressions see of other nodes: output, status and error
// by id.
func (v *view) nodesEnv(ctx context.Context) (map[string]any, error) {
	nodes := make(map[string]any, len(v.nodes))
	for id, s := range v.nodes {
		one := map[string]any{"output": nil, "status": string(s.status), "error": nil}
		if s.failed != nil {
			one["error"] = map[string]any{"code": s.failed.Code, "message": s.failed.Message}
		}
		if s.value.present() {
			data, err := v.read(ctx, s.value)
			if err != nil {
				return nil, err
			}
			one["output"] = data
		}
		nodes[id] = one
	}
	return nodes, nil
}

func (r *run) vars() map[string]any {
	if v := r.program.Definition.Settings.Vars; v != nil {
		return v
	}
	return map[string]any{}
}

// keep turns what a node returned into a stored value: JSON once, in memory
// when small, as a payload of the next commit when large.
func (r *run) keep(data any) (value, error) {
	raw, err := r.write(data)
	if err != nil {
		return value{}, fault.Wrap(fault.Invalid, err, "the output cannot be written as JSON")
	}
	return r.keepText(raw, data)
}

// keepText is keep for a value that is JSON already; data is the value, or nil
// where it is to be read from the text.
func (r *run) keepText(raw []byte, data any) (value, error) {
	if len(raw) > r.engine.cfg.OutputBytes {
		return value{}, r.tooLarge(len(raw))
	}
	if len(raw) > r.engine.cfg.InlineBytes {
		sum := sha256.Sum256(raw)
		hash := hex.EncodeToString(sum[:])
		r.batch.payloads = append(r.batch.payloads, execution.Payload{Hash: hash, Data: raw})
		// Until the commit the payload cannot be fetched: keep the text for the
		// successors that start in the same turn.
		late := &spilled{}
		late.raw.Store(&raw)
		r.batch.spilled = append(r.batch.spilled, late)
		return value{ref: hash, data: late}, nil
	}
	if plain, ok := jsonvalue.Plain(data); ok && data != nil {
		return value{data: plain, raw: raw}, nil
	}
	return value{data: decodeJSON(raw), raw: raw}, nil
}

func (r *run) tooLarge(size int) error {
	return fault.New(fault.TooLarge, "the output is over %d MiB; a node's output has at most %d MiB: write it to a file and pass the file on",
		size>>20, r.engine.cfg.OutputBytes>>20).WithCode("output_too_large")
}

// write returns the value as JSON, in memory of its own.
func (r *run) write(data any) ([]byte, error) {
	text, err := jsonvalue.Append(r.scratch[:0], data)
	if err != nil {
		return nil, err
	}
	if cap(text) <= 64<<10 {
		r.scratch = text
	}
	return bytes.Clone(text), nil
}

// spilled is a large value whose text is in memory until its commit.
type spilled struct{ raw atomic.Pointer[[]byte] }

// read returns a value's data, fetching it when it is not in memory.
func (r *run) read(ctx context.Context, v value) (any, error) {
	if v.ref == "" {
		return v.data, nil
	}
	var raw []byte
	if s, ok := v.data.(*spilled); ok {
		if text := s.raw.Load(); text != nil {
			raw = *text
		}
	}
	if raw == nil {
		var err error
		if raw, err = r.engine.journal.Payload(ctx, r.x.WorkspaceID, v.ref); err != nil {
			return nil, err
		}
	}
	var data any
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, fmt.Errorf("read payload %s: %w", v.ref, err)
	}
	return data, nil
}

func decodeJSON(raw []byte) any {
	var data any
	_ = json.Unmarshal(raw, &data) // we wrote it, or the codec has checked it
	return data
}
