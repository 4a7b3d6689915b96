package engine

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/jsonvalue"
	"agentstudio/internal/node"
)

// A split that is spread is a waiting node: its items are in a payload that its
// row refers to, how far it is stands in what it waits for, and its rounds run
// in shares, executions that any worker may take (share.go). Only so many
// shares are open at a time as its parallel rounds can be divided between.

// The sizes of shares: few enough to cost little beside their rounds, and
// enough of them that all workers get work until the end.
const (
	maxShares     = 32 // that a split's parallel rounds are divided between
	sharesPerSlot = 2
	minShareItems = 10
	maxShareItems = 1_000 // what a share keeps in memory is bounded as for loops
)

// spreads reports whether a container's rounds go to other workers. A split
// that has begun in its execution goes on there.
func (r *run) spreads(t task, it *node.Iteration) (bool, error) {
	s := &r.program.Steps[t.step]
	from := r.engine.cfg.SplitFrom
	switch {
	case !it.Spread, from <= 0, len(it.Items) < from, r.splitParallel(it) < 2:
		return false, nil
	case s.Body < 0, len(r.program.Scopes[s.Body].Steps) == 0, t.state().run.Status == execution.NodeRunning, r.shareLevel() > r.engine.cfg.MaxDepth:
		return false, nil
	}
	if !r.engine.cfg.SplitAlone {
		workers, err := r.engine.journal.Workers(r.ctx)
		if err != nil || len(workers) < 2 {
			return false, err
		}
	}
	if !r.recovered {
		return true, nil
	}
	rounds, _, err := r.engine.journal.Rounds(r.ctx, r.x.WorkspaceID, r.x.ID, s.Node.ID, t.frame.iteration, "", 1)
	return len(rounds) == 0, err
}

// splitParallel is how many rounds of a split may be at work at the same time:
// no more than the workflow allows nodes, which in one execution nobody needs
// to say.
func (r *run) splitParallel(it *node.Iteration) int {
	if most := r.chosenParallel(); most > 0 {
		return min(it.Parallel, most)
	}
	return it.Parallel
}

// shareLevel is how many shares stand above those this execution begins.
func (r *run) shareLevel() int {
	if r.share == nil {
		return 0
	}
	return r.share.Level + 1
}

// beginSplit leaves a node waiting for the shares of its items.
func (r *run) beginSplit(t task, it *node.Iteration) error {
	n := t.state()
	text, list, err := listed(it.Items)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:])
	r.batch.payloads = append(r.batch.payloads, execution.Payload{Hash: hash, Data: text})
	p := &execution.Shares{Items: len(list), Parallel: r.splitParallel(it), MaxParallel: r.chosenParallel(), Continue: it.ContinueOnError, Outer: r.outer(t)}
	p.Slots = min(p.Parallel, maxShares)
	p.Size = min(max((p.Items+sharesPerSlot*p.Slots-1)/(sharesPerSlot*p.Slots), r.minShare()), maxShareItems)
	p.Slots = min(p.Slots, (p.Items+p.Size-1)/p.Size)
	n.list = list
	n.run.Status, n.run.OutputRef = execution.NodeWaiting, hash
	n.run.Wait = &execution.Wait{Reason: waitSplit, Shares: p}
	r.waiting[t] = time.Time{}
	r.heard = r.now()
	if err := r.openShares(r.ctx, t); err != nil {
		return err
	}
	r.record(n, "")
	return nil
}

// minShare is how few items a share has at least.
func (r *run) minShare() int { return min(minShareItems, max(r.engine.cfg.SplitFrom/2, 1)) }

// listed writes items as a JSON list, and returns each one's part of it.
func listed(items []any) (text []byte, list []json.RawMessage, err error) {
	ends := make([]int, len(items))
	text = []byte{'['}
	for i, item := range items {
		if i > 0 {
			text = append(text, ',')
		}
		if text, err = jsonvalue.Append(text, item); err != nil {
			return nil, nil, fault.Wrap(fault.Invalid, err, "item %d cannot be written as JSON", i)
		}
		ends[i] = len(text)
	}
	text = append(text, ']')
	list = make([]json.RawMessage, len(items))
	for i, begin := 0, 1; i < len(items); i, begin = i+1, ends[i]+1 {
		list[i] = text[begin:ends[i]:ends[i]]
	}
	return text, list, nil
}

// outer returns what the body of a split may see of the rounds around it: the
// nodes it reads, as far as they have ended by now.
func (r *run) outer(t task) []execution.Outer {
	wanted := map[string]bool{}
	all := r.reads(r.program.Steps[t.step].Body, wanted)
	var out []execution.Outer
	for f := t.frame; f != nil; f = f.parent {
		o := execution.Outer{ExecutionID: cmp.Or(f.home, r.x.ID), Iteration: f.iteration}
		for step, n := range f.nodes {
			if id := r.program.Steps[step].Node.ID; n.run.Status.Over() && (all || wanted[id]) {
				o.Nodes = append(o.Nodes, id)
			}
		}
		slices.Sort(o.Nodes)
		out = append(out, o)
	}
	slices.Reverse(out)
	return out
}

// reads adds the nodes that the steps of a scope, and of those inside it, read;
// it reports whether one reads all there are.
func (r *run) reads(scope int, wanted map[string]bool) (all bool) {
	for _, i := range r.program.Scopes[scope].Steps {
		s := &r.program.Steps[i]
		refs := s.Refs()
		all = all || refs.AllNodes || s.WantsScope()
		for _, id := range refs.Nodes {
			wanted[id] = true
		}
		if s.Body >= 0 && r.reads(s.Body, wanted) {
			all = true
		}
	}
	return all
}

// ownDefinition returns what a share runs when its execution runs no saved
// version.
func (r *run) ownDefinition() (json.RawMessage, *execution.Lineage, error) {
	if r.x.Lineage == nil || !r.x.Lineage.Edited {
		return nil, nil, nil
	}
	text, err := json.Marshal(r.program.Definition)
	return text, &execution.Lineage{Edited: true}, err
}

// openShares begins shares while there are items and room, each for the worker
// that has the fewest: left to whoever comes first, the one next to the database
// would take them all, and the one that is done would not get the next.
func (r *run) openShares(ctx context.Context, t task) error {
	n := t.state()
	p := n.run.Wait.Shares
	workers, err := r.engine.journal.Workers(ctx)
	if err != nil {
		return err
	}
	own, lineage, err := r.ownDefinition()
	if err != nil {
		return err
	}
	for p.Left() && p.Room() {
		from, to := p.Range(p.Opened)
		data, err := json.Marshal(execution.Share{Origin: r.origin.ID, From: from, Items: n.list[from:to], Parallel: p.Portion(p.Opened),
			MaxParallel: p.NodePortion(p.Opened), Continue: p.Continue, Level: r.shareLevel(), Outer: p.Outer})
		if err != nil {
			return err
		}
		worker := p.Idlest(workers)
		r.batch.children = append(r.batch.children, execution.New{For: worker, Definition: own, Execution: execution.Execution{ID: r.shareID(&n.run, p.Opened), WorkspaceID: r.x.WorkspaceID,
			WorkflowID: r.x.WorkflowID, WorkflowName: r.x.WorkflowName, WorkflowVersion: r.x.WorkflowVersion, UserID: r.x.UserID, APIKeyID: r.x.APIKeyID, Status: execution.Pending,
			TriggerType: execution.TriggerSplit, StartNode: r.x.StartNode, TriggerData: data, Priority: r.x.Priority, TotalNodes: to - from, ParentID: r.x.ID,
			ParentNode: n.run.NodeID, ParentIteration: t.frame.iteration, Depth: r.x.Depth, CreatedAt: r.now(), Epoch: 1, Worker: r.engine.cfg.Worker,
			DryRun: r.x.DryRun, Pinned: r.x.Pinned, Lineage: lineage}})
		p.Open = append(p.Open, execution.OpenShare{Share: p.Opened, Worker: worker})
		p.Opened++
		r.batch.head = true
	}
	if !p.Left() {
		n.list = nil
	}
	return nil
}

// shareID is the stable id of a share, so that one begun is never begun again.
func (r *run) shareID(n *execution.NodeRun, share int) string {
	return nodeRunID(r.uid, n.NodeID+"\x00share "+strconv.Itoa(share), n.Iteration)
}

// openShareIDs returns the shares of a node that have not ended.
func (r *run) openShareIDs(n *execution.NodeRun) []string {
	ids := make([]string, len(n.Wait.Shares.Open))
	for i, o := range n.Wait.Shares.Open {
		ids[i] = r.shareID(n, o.Share)
	}
	return ids
}

// lookAtShares finds out which shares have ended, and begins others.
func (r *run) lookAtShares(ctx context.Context) error {
	var splits []task
	for t := range r.waiting {
		if wait := t.state().run.Wait; wait != nil && wait.Reason == waitSplit && wait.Shares != nil {
			splits = append(splits, t)
		}
	}
	for _, t := range splits {
		if _, waits := r.waiting[t]; !waits {
			continue // ended with one before it
		}
		if err := r.lookAtSplit(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) lookAtSplit(ctx context.Context, t task) error {
	n := t.state()
	p := n.run.Wait.Shares
	statuses, err := r.engine.journal.Statuses(ctx, r.x.WorkspaceID, r.openShareIDs(&n.run))
	if err != nil {
		return err
	}
	before := len(p.Open)
	for _, o := range slices.Clone(p.Open) {
		id := r.shareID(&n.run, o.Share)
		if status, there := statuses[id]; there && !status.Over() {
			continue
		}
		x, err := r.engine.journal.Child(ctx, r.x.WorkspaceID, id)
		if fault.Is(err, fault.NotFound) {
			x, err = &execution.Execution{Status: execution.Cancelled}, nil
		}
		if err != nil {
			return err
		}
		if !r.takeShare(t, o.Share, x) {
			return nil
		}
	}
	began := p.Opened
	if p.Left() && p.Room() && !r.paused {
		if err := r.restoreList(ctx, n); err != nil {
			return err
		}
		if err := r.openShares(ctx, t); err != nil {
			return err
		}
	}
	switch {
	case len(p.Open) == 0 && !p.Left():
		return r.endSplit(ctx, t)
	case len(p.Open) != before || p.Opened != began:
		r.heard = r.now()
		r.keepRow(n)
		r.batch.head = true
		r.emitValue(event.NodeUpdate, "progress", progressEvent{ExecutionID: r.x.ID, NodeExecutionID: n.run.ID, NodeID: n.run.NodeID, Iteration: n.run.Iteration,
			Items: p.Items, Completed: p.Completed, Failed: p.Failed})
	}
	return nil
}

type progressEvent struct {
	ExecutionID     string `json:"execution_id"`
	NodeExecutionID string `json:"node_execution_id"`
	NodeID          string `json:"node_id"`
	Iteration       string `json:"iteration,omitempty"`
	Items           int    `json:"items"`
	Completed       int    `json:"completed"`
	Failed          int    `json:"failed"`
}

// restoreList reads the items of a split that was not in memory.
func (r *run) restoreList(ctx context.Context, n *nodeState) error {
	if n.list != nil {
		return nil
	}
	text, err := r.engine.journal.Payload(ctx, r.x.WorkspaceID, n.run.OutputRef)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &n.list)
}

// takeShare takes in what a share came to. It reports false when the split has
// ended with it.
func (r *run) takeShare(t task, share int, x *execution.Execution) bool {
	n := t.state()
	p := n.run.Wait.Shares
	p.Open = slices.DeleteFunc(p.Open, func(o execution.OpenShare) bool { return o.Share == share })
	p.Completed += x.CompletedNodes
	p.Failed += x.FailedNodes
	n.run.Usage = n.run.Usage.Add(x.Usage)
	r.x.Usage = r.x.Usage.Add(x.Usage)
	r.x.Usage.Model = ""
	if x.Response != nil {
		r.respond(x.Response)
	}
	var failure error
	stop := stoppedBy(x.Output)
	switch {
	case stop != nil:
		r.stopAs(*stop)
		return false
	case x.Status == execution.Completed:
		return true
	case x.Status == execution.Failed && x.Error != nil:
		failure = fault.New(fault.Kind(x.Error.Code), "%s", x.Error.Message).WithCode(x.Error.Code)
	default:
		from, to := p.Range(share)
		failure = fault.New(fault.Conflict, "the share of the items %d to %d was cancelled or deleted", from, to-1).WithCode("share_cancelled")
	}
	delete(r.waiting, t)
	r.settleFailure(t, failure)
	return false
}

// endSplit completes the node with the outputs of its shares, in their order.
func (r *run) endSplit(ctx context.Context, t task) error {
	n := t.state()
	var items, failures []byte
	for share := range n.run.Wait.Shares.Opened {
		x, err := r.engine.journal.Child(ctx, r.x.WorkspaceID, r.shareID(&n.run, share))
		if err != nil {
			return err
		}
		var part struct{ Items, Errors json.RawMessage }
		if err := json.Unmarshal(x.Output, &part); err != nil {
			return err
		}
		items, failures = joined(items, part.Items), joined(failures, part.Errors)
		if size := len(items) + len(failures); size > r.engine.cfg.OutputBytes {
			delete(r.waiting, t)
			r.settleFailure(t, r.tooLarge(size))
			return nil
		}
	}
	delete(r.waiting, t)
	text := slices.Concat([]byte(`{"errors":[`), failures, []byte(`],"items":[`), items, []byte(`]}`))
	out, err := r.keepText(text, nil)
	if err != nil {
		r.settleFailure(t, err)
		return nil
	}
	r.complete(t, out, nil, "")
	return nil
}

// joined adds what stands inside a JSON list.
func joined(to []byte, list json.RawMessage) []byte {
	list = bytes.TrimSuffix(bytes.TrimPrefix(bytes.TrimSpace(list), []byte{'['}), []byte{']'})
	if len(list) == 0 {
		return to
	}
	if len(to) > 0 {
		to = append(to, ',')
	}
	return append(to, list...)
}

// pauseShares has the shares of all splits rest, or go on, with this execution.
func (r *run) pauseShares(ctx context.Context, paused bool) error {
	waiting, err := r.engine.journal.Waiting(ctx, r.x.WorkspaceID, r.x.ID)
	if err != nil {
		return err
	}
	for i := range waiting {
		if waiting[i].Wait == nil || waiting[i].Wait.Shares == nil {
			continue
		}
		for _, id := range r.openShareIDs(&waiting[i]) {
			_, err := r.engine.control.RequestPause(ctx, r.x.WorkspaceID, id, paused)
			if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
				return err
			}
			r.engine.announce.Announce(execution.Ticket{ID: id, WorkspaceID: r.x.WorkspaceID})
		}
	}
	return nil
}
