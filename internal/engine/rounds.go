package engine

import (
	"context"
	"encoding/json"
	"strconv"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// What the rounds of one loop may take of memory: beyond either bound their
// outputs are left to the table and read again when the loop ends.
const (
	keptRounds = 1_024
	keptBytes  = 1 << 20
	roundsPage = 500
)

// roundEnds is what the rounds of a loop came to.
type roundEnds struct {
	outputs  map[int]value // nil: read them from the table
	failures map[int]*execution.Error
	bytes    int
	all      bool     // never leave them to the table: they have no rows there
	known    []uint64 // bits: rounds that ended in an earlier life
}

func newRoundEnds(all bool) roundEnds {
	return roundEnds{outputs: map[int]value{}, failures: map[int]*execution.Error{}, all: all}
}

func (e *roundEnds) add(i int, v value, failure *execution.Error) {
	if e.outputs == nil {
		return
	}
	e.outputs[i] = v
	if failure != nil {
		e.failures[i] = failure
	}
	e.bytes += len(v.raw)
	if !e.all && (len(e.outputs) > keptRounds || e.bytes > keptBytes) {
		e.outputs, e.failures = nil, nil
	}
}

func (e *roundEnds) know(i int) {
	for len(e.known) <= i/64 {
		e.known = append(e.known, 0)
	}
	e.known[i/64] |= 1 << (i % 64)
}

// earlier reports whether the round ended in an earlier life.
func (e *roundEnds) earlier(i int) bool {
	return i/64 < len(e.known) && e.known[i/64]&(1<<(i%64)) != 0
}

// eachRound calls see with every stored round of a loop, in no order.
func (r *run) eachRound(ctx context.Context, l *loop, see func(i int, row *execution.NodeRun) error) error {
	s := &r.program.Steps[l.task.step]
	for after := ""; ; {
		rows, next, err := r.engine.journal.Rounds(ctx, r.x.WorkspaceID, r.x.ID, s.Node.ID, l.task.frame.iteration, after, roundsPage)
		if err != nil {
			return err
		}
		for at := range rows {
			if err := see(lastIndex(rows[at].Iteration), &rows[at]); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
}

// restoreRounds takes in the rounds that ended in an earlier life.
func (r *run) restoreRounds(l *loop) error {
	return r.eachRound(r.ctx, l, func(i int, row *execution.NodeRun) error {
		if row.Status == execution.NodeCompleted || row.Status == execution.NodeFailed {
			l.ends.know(i)
			l.ends.add(i, stored(*row), row.Error)
		}
		return nil
	})
}

// earlierOutput returns what a round of an earlier life came to.
func (r *run) earlierOutput(l *loop, i int) (any, error) {
	if v, kept := l.ends.outputs[i]; kept {
		return r.read(r.ctx, v)
	}
	rows, err := r.engine.journal.NodeRuns(r.ctx, r.x.WorkspaceID, r.x.ID, roundIteration(l.task.frame.iteration, i))
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.NodeID == r.program.Steps[l.task.step].Node.ID {
			return r.read(r.ctx, stored(row))
		}
	}
	return nil, nil
}

// endLoop settles the container with its rounds' outputs in the items' order;
// where they are only in the table, after the commit that brings the last ones
// there.
func (r *run) endLoop(l *loop) {
	if l.ends.outputs == nil {
		r.gathering = append(r.gathering, l)
		return
	}
	items := make([]any, l.next-l.base)
	failures := []any{}
	for at := range items {
		i := l.base + at
		data, err := r.read(r.ctx, l.ends.outputs[i])
		if err != nil {
			r.broken = err
			return
		}
		items[at] = data
		if failure := l.ends.failures[i]; failure != nil {
			failures = append(failures, map[string]any{"index": float64(i), "error": map[string]any{"code": failure.Code, "message": failure.Message, "node_id": failure.NodeID}})
		}
	}
	out, err := r.keep(map[string]any{"items": items, "errors": failures})
	r.settleLoop(l, out, err)
}

func (r *run) settleLoop(l *loop, out value, err error) {
	l.task.state().loop = nil
	if err != nil {
		r.settleFailure(l.task, err)
		return
	}
	if r.isShare(l.task) {
		r.endShare(nil, out)
		return
	}
	r.complete(l.task, out, nil, "")
}

// gather ends the loops whose rounds are all in the table now. It reports
// whether there were any.
func (r *run) gather(ctx context.Context) (bool, error) {
	loops := r.gathering
	r.gathering = nil
	for _, l := range loops {
		if r.over || l.task.frame.closed || l.task.state().run.Status.Over() {
			continue
		}
		text, err := r.gathered(ctx, l)
		var out value
		if err == nil {
			out, err = r.keepText(text, nil)
		}
		if err != nil && fault.As(err) == nil {
			return true, err
		}
		r.settleLoop(l, out, err)
	}
	return len(loops) > 0, nil
}

// gathered writes a loop's output from its stored rounds.
func (r *run) gathered(ctx context.Context, l *loop) ([]byte, error) {
	items := make([]json.RawMessage, l.next-l.base)
	failures := map[int]*execution.Error{}
	size := 0
	err := r.eachRound(ctx, l, func(i int, row *execution.NodeRun) (err error) {
		at := i - l.base
		if at < 0 || at >= len(items) {
			return nil
		}
		items[at] = row.Output
		if row.OutputRef != "" {
			if items[at], err = r.engine.journal.Payload(ctx, r.x.WorkspaceID, row.OutputRef); err != nil {
				return err
			}
		}
		if row.Error != nil {
			failures[i] = row.Error
		}
		if size += len(items[at]) + 1; size > r.engine.cfg.OutputBytes {
			return r.tooLarge(size)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	text := append(make([]byte, 0, size+256), `{"errors":[`...)
	for i, first := l.base, true; i < l.base+len(items) && len(failures) > 0; i++ {
		failure := failures[i]
		if failure == nil {
			continue
		}
		one, err := json.Marshal(failure)
		if err != nil {
			return nil, err
		}
		if !first {
			text = append(text, ',')
		}
		first = false
		text = append(strconv.AppendInt(append(text, `{"index":`...), int64(i), 10), `,"error":`...)
		text = append(append(text, one...), '}')
	}
	text = append(text, `],"items":[`...)
	for i, item := range items {
		if i > 0 {
			text = append(text, ',')
		}
		if item == nil {
			item = json.RawMessage("null")
		}
		text = append(text, item...)
	}
	return append(text, ']', '}'), nil
}
