package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"agentstudio/bench/model"
	"agentstudio/bench/studio"
)

// patience is how long executions have to end, a dead worker's lease and the
// longest timer included.
const patience = time.Minute

// goOn has a server end the executions and looks at what it did.
func (h *history) goOn(ctx context.Context, s *studio.Studio, stub *model.Stub) error {
	s.Token = h.Token
	return h.check(ctx, func(method, path string, body, out any) error { return s.Call(ctx, method, path, body, out) }, stub)
}

func (h *history) check(ctx context.Context, call caller, stub *model.Stub) error {
	known := map[string]scenario{}
	for _, sc := range scenarios() {
		known[sc.name] = sc
	}
	var faults []error
	for _, x := range h.Executions {
		sc := known[x.Scenario]
		if sc.then == nil {
			continue
		}
		if err := sc.then(call, x); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", sc.name, err))
		}
	}
	for _, x := range h.Executions {
		if err := x.end(ctx, call, known[x.Scenario]); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", x.Scenario, err))
		}
	}
	return errors.Join(append(faults, h.askedAgain(stub)...)...)
}

// end waits for the end and compares.
func (x *started) end(ctx context.Context, call caller, sc scenario) error {
	deadline := time.Now().Add(patience)
	for {
		now, nodes, err := look(call, x.ID)
		if err != nil {
			return err
		}
		if now.Status == "completed" || now.Status == "failed" || now.Status == "cancelled" {
			return x.compare(now, nodes, sc)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it is still %s", now.Status)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func (x *started) compare(now execution, nodes []nodeRun, sc scenario) error {
	var got, want any
	if err := errors.Join(json.Unmarshal(now.Output, &got), json.Unmarshal([]byte(sc.output), &want)); err != nil {
		return fmt.Errorf("it is %s with %s: %w", now.Status, now.Output, err)
	}
	if now.Status != "completed" || !reflect.DeepEqual(got, want) {
		return fmt.Errorf("it is %s with %s (%v), want %s", now.Status, now.Output, now.Error, sc.output)
	}
	left := map[string]nodeRun{}
	for _, n := range nodes {
		left[n.ID] = n
	}
	for id, before := range x.Done {
		if after := left[id]; after.CompletedAt != before.CompletedAt || after.StartedAt != before.StartedAt {
			return fmt.Errorf("%s %s had ended at %s and ran again: %+v", before.Node, before.Iteration, before.CompletedAt, after)
		}
	}
	return nil
}

// askedAgain names the turns that had been answered before the kill and were
// asked for again, and those asked for twice.
func (h *history) askedAgain(stub *model.Stub) (faults []error) {
	asked := stub.Asked()
	for conversation, turns := range asked {
		for turn, times := range turns {
			if times > 1 || !held(conversation, turn) {
				faults = append(faults, fmt.Errorf("turn %d of %q was asked for %d times", turn, conversation, times))
			}
		}
	}
	return faults
}

func callBack(call caller, x *started) error {
	n, err := waitingNode(call, x)
	if err != nil {
		return err
	}
	address, err := url.Parse(n.CallbackURL)
	if err != nil || address.Path == "" {
		return fmt.Errorf("the address to call is %q", n.CallbackURL)
	}
	return call(http.MethodPost, address.Path, object{"n": 5}, nil)
}

func approve(call caller, x *started) error {
	n, err := waitingNode(call, x)
	if err != nil {
		return err
	}
	return call(http.MethodPost, "/api/v1/executions/"+x.ID+"/approvals/"+n.NodeID, object{"decision": "approve"}, nil)
}

func resume(call caller, x *started) error {
	return call(http.MethodPost, "/api/v1/executions/"+x.ID+"/resume", object{}, nil)
}

func waitingNode(call caller, x *started) (nodeRun, error) {
	_, nodes, err := look(call, x.ID)
	for _, n := range nodes {
		if n.Status == "waiting" {
			return n, err
		}
	}
	return nodeRun{}, errors.Join(err, errors.New("no node waits"))
}
