package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"agentstudio/bench/studio"
)

// history is what executions had come to when their server was killed.
type history struct {
	Token      string     `json:"token"`
	Executions []*started `json:"executions"`
}

// started is an execution that was under way.
type started struct {
	Scenario string           `json:"scenario"`
	ID       string           `json:"id"`
	Done     map[string]ended `json:"done"` // by the id of the node's run
}

// ended is a node's run that had ended.
type ended struct {
	Node        string `json:"node"`
	Iteration   string `json:"iteration,omitempty"`
	StartedAt   string `json:"started_at,omitempty"`
	CompletedAt string `json:"completed_at"`
}

// caller is how a running server is spoken to.
type caller func(method, path string, body, out any) error

// execution is what the API says of one.
type execution struct {
	ID     string          `json:"id"`
	Status string          `json:"status"`
	Output json.RawMessage `json:"output"`
	Error  any             `json:"error"`
}

type nodeRun struct {
	ID          string           `json:"id"`
	NodeID      string           `json:"node_id"`
	Iteration   string           `json:"iteration"`
	Status      string           `json:"status"`
	CallbackURL string           `json:"callback_url"`
	Approvals   []map[string]any `json:"approvals"`
	StartedAt   string           `json:"started_at"`
	CompletedAt string           `json:"completed_at"`
}

func recordAll(ctx context.Context, s *studio.Studio) (*history, error) {
	if err := errors.Join(s.SignIn(ctx, "history@example.org"), s.UseKey(ctx)); err != nil {
		return nil, err
	}
	call := caller(func(method, path string, body, out any) error { return s.Call(ctx, method, path, body, out) })
	childID, err := s.Create(ctx, child())
	if err != nil {
		return nil, err
	}
	if err := call(http.MethodPatch, "/api/v1/workflows/"+childID+"/status", object{"status": "published"}, nil); err != nil {
		return nil, err
	}
	h := &history{Token: s.Token}
	for _, sc := range scenarios() {
		for _, n := range sc.definition["nodes"].([]object) { //nolint:forcetypeassert,errcheck // made by chain
			if config := n["config"].(object); config["workflow_id"] == "CHILD" { //nolint:forcetypeassert,errcheck // made by node
				config["workflow_id"] = childID
			}
		}
		x, err := begin(ctx, s, sc)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sc.name, err)
		}
		h.Executions = append(h.Executions, x)
	}
	for i, sc := range scenarios() {
		x := h.Executions[i]
		if sc.status == "paused" {
			if err := call(http.MethodPost, "/api/v1/executions/"+x.ID+"/pause", object{}, nil); err != nil {
				return nil, err
			}
		}
		if err := arrive(ctx, call, sc, x); err != nil {
			return nil, fmt.Errorf("%s: %w", sc.name, err)
		}
	}
	return h, nil
}

func begin(ctx context.Context, s *studio.Studio, sc scenario) (*started, error) {
	id, err := s.Create(ctx, sc.definition)
	if err != nil {
		return nil, err
	}
	body := object{"workflow_id": id}
	for field, v := range sc.start {
		if v == "soon" {
			v = time.Now().Add(soon)
		}
		body[field] = v
	}
	if sc.input != nil {
		body["trigger_data"] = sc.input
	}
	var x execution
	err = s.Call(ctx, http.MethodPost, "/api/v1/executions", body, &x)
	return &started{Scenario: sc.name, ID: x.ID, Done: map[string]ended{}}, err
}

// arrive waits until the execution is where it is to be killed.
func arrive(ctx context.Context, call caller, sc scenario, x *started) error {
	deadline := time.Now().Add(soon)
	for {
		now, nodes, err := look(call, x.ID)
		if err != nil {
			return err
		}
		if now.Status == sc.status && there(sc, nodes) {
			for _, n := range nodes {
				if n.Status == "completed" || n.Status == "skipped" {
					x.Done[n.ID] = ended{Node: n.NodeID, Iteration: n.Iteration, StartedAt: n.StartedAt, CompletedAt: n.CompletedAt}
				}
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it is %s with %+v", now.Status, nodes)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func there(sc scenario, nodes []nodeRun) bool {
	done := 0
	for _, n := range nodes {
		if n.NodeID == "ask" && n.Status == "completed" {
			done++
		}
		if want := sc.nodes[n.NodeID]; want != "" && n.Iteration == "" && n.Status != want {
			return false
		}
	}
	return done >= sc.done && len(nodes) >= len(sc.nodes)
}

// look returns an execution and all of its nodes.
func look(call caller, id string) (execution, []nodeRun, error) {
	var x execution
	if err := call(http.MethodGet, "/api/v1/executions/"+id, nil, &x); err != nil {
		return x, nil, err
	}
	var nodes []nodeRun
	for {
		var page struct {
			Items []nodeRun `json:"items"`
			Total int       `json:"total"`
		}
		if err := call(http.MethodGet, fmt.Sprintf("/api/v1/executions/%s/nodes?limit=100&offset=%d", id, len(nodes)), nil, &page); err != nil {
			return x, nil, err
		}
		nodes = append(nodes, page.Items...)
		if len(page.Items) == 0 || len(nodes) >= page.Total {
			return x, nodes, nil
		}
	}
}

func pause(ctx context.Context, long time.Duration) error {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
