package api

import (
	"context"
	"encoding/json"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
)

// NodeKind is what one needs to know to use a kind of node.
type NodeKind struct {
	Kind           string          `json:"kind"`
	Type           node.Group      `json:"type" doc:"The group it belongs to"`
	Category       string          `json:"category"`
	Title          string          `json:"title"`
	Description    string          `json:"description"`
	Docs           string          `json:"docs" doc:"Markdown"`
	Icon           string          `json:"icon" doc:"Name of a Lucide icon"`
	Outputs        []node.Handle   `json:"outputs" doc:"The handles it may answer on; some kinds add more by their config"`
	NoInput        bool            `json:"no_input" doc:"Nothing can be connected to it: a trigger"`
	Container      bool            `json:"container" doc:"Holds a body: nodes with its id as parent_id"`
	Effect         bool            `json:"effect" doc:"Changes something outside"`
	Outside        bool            `json:"outside" doc:"Reaches outside, to change something or to read: a dry run does not call it"`
	Risk           node.Risk       `json:"risk"`
	TimeoutSeconds float64         `json:"timeout_seconds" doc:"Of one attempt, when the node sets none; 0: the engine's default"`
	MaxAttempts    int             `json:"max_attempts"`
	ConfigSchema   json.RawMessage `json:"config_schema" doc:"JSON Schema of the config; its widget, title and description make the form"`
	OutputSchema   json.RawMessage `json:"output_schema,omitempty"`
	Needs          []string        `json:"needs" doc:"What an operator must set up for it"`
	Presets        []node.Preset   `json:"presets" doc:"Ways to begin with a node of the kind"`
}

func viewKind(t node.Type) NodeKind {
	s := t.Spec()
	return NodeKind{Kind: s.Kind, Type: s.Group, Category: s.Category, Title: s.Title, Description: s.Description, Docs: s.Docs, Icon: s.Icon, Outputs: listed(s.Outputs),
		NoInput: s.NoInput, Container: s.Container, Effect: s.Effect, Outside: s.ReachesOutside(), Risk: s.Risk, TimeoutSeconds: s.Timeout.Seconds(), MaxAttempts: max(1, s.Retry.Attempts),
		ConfigSchema: t.Schema(), OutputSchema: s.OutputSchema, Needs: listed(s.Needs), Presets: listed(s.Presets)}
}

// List is a list that is short by nature and comes whole.
type List[T any] struct {
	Items []T `json:"items"`
	Total int `json:"total"`
}

func (s *Server) catalogueRoutes() {
	register(s, op{Method: "GET", Path: "/node-kinds", ID: "list-node-kinds", Tag: "catalogue", Summary: "Every kind of node, in the palette's order"}, s.listKinds)
	register(s, op{Method: "GET", Path: "/node-kinds/{kind}", ID: "get-node-kind", Tag: "catalogue", Summary: "One kind of node"}, s.getKind)
	register(s, op{Method: "GET", Path: "/models", ID: "list-models", Tag: "catalogue", Summary: "The models that workflows may name"}, s.listModels)
}

func (s *Server) listKinds(context.Context, access.Actor, *none) (*Body[List[NodeKind]], error) {
	all := s.Kinds.All()
	return &Body[List[NodeKind]]{List[NodeKind]{Items: views(all, viewKind), Total: len(all)}}, nil
}

type kindPath struct {
	Kind string `path:"kind" maxLength:"128"`
}

func (s *Server) getKind(_ context.Context, _ access.Actor, in *kindPath) (*Body[NodeKind], error) {
	t, known := s.Kinds.Find(in.Kind)
	if !known {
		return nil, fault.New(fault.NotFound, "there is no node kind %q", in.Kind)
	}
	return &Body[NodeKind]{viewKind(t)}, nil
}

func (s *Server) listModels(context.Context, access.Actor, *none) (*Body[List[Model]], error) {
	var all []Model
	if s.Models != nil {
		all = s.Models()
	}
	return &Body[List[Model]]{List[Model]{Items: listed(all), Total: len(all)}}, nil
}
