package api

import (
	"bytes"
	"encoding/json"

	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
)

// definitionKey marks the bodies whose rules are the workflow format's; the
// OpenAPI document tells them in full (openapi.go).
const definitionKey = "x-definition"

// DefinitionBody is a workflow definition. The codec, not the type, checks it,
// so that files and requests have the same rules and the same messages.
type DefinitionBody map[string]json.RawMessage

// NewWorkflowBody is a definition with the workspace it shall belong to.
type NewWorkflowBody DefinitionBody

// WorkflowPatchBody is the part of a definition that is to be replaced.
type WorkflowPatchBody DefinitionBody

func definitionSchema(what string) *huma.Schema {
	return &huma.Schema{Type: "object", AdditionalProperties: true, Extensions: map[string]any{definitionKey: what}}
}

// Schema describes a DefinitionBody.
func (DefinitionBody) Schema(huma.Registry) *huma.Schema { return definitionSchema("whole") }

// Schema describes a NewWorkflowBody.
func (NewWorkflowBody) Schema(huma.Registry) *huma.Schema { return definitionSchema("new") }

// Schema describes a WorkflowPatchBody.
func (WorkflowPatchBody) Schema(huma.Registry) *huma.Schema { return definitionSchema("part") }

// takeWorkspace takes the workspace out of a body.
func takeWorkspace(body NewWorkflowBody) (string, error) {
	var id string
	text, sent := body["workspace_id"]
	if !sent {
		return "", nil
	}
	delete(body, "workspace_id")
	err := json.Unmarshal(text, &id)
	if err == nil && id != "" {
		_, err = uuid.Parse(id)
	}
	if err != nil {
		return "", wanted("body.workspace_id", "must be the id of a workspace")
	}
	return id, nil
}

// definition reads a definition out of a body, with faults placed in it.
func (s *Server) definition(body map[string]json.RawMessage) (*workflow.Definition, error) {
	d, err := s.decode(body)
	return d, inBody(err)
}

func (s *Server) decode(body map[string]json.RawMessage) (*workflow.Definition, error) {
	if err := dropDerived(body); err != nil {
		return nil, err
	}
	if body == nil {
		body = map[string]json.RawMessage{}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return s.Codec.Decode(text)
}

// dropDerived forgets what answers show on nodes beside their definition, so
// that what was read can be sent back as it is.
func dropDerived(body map[string]json.RawMessage) error {
	var nodes []json.RawMessage
	if json.Unmarshal(body["nodes"], &nodes) != nil || nodes == nil {
		nodes = []json.RawMessage{} // the codec says what is wrong
	}
	for i, text := range nodes {
		var n map[string]json.RawMessage
		if json.Unmarshal(text, &n) != nil || n["type"] == nil && n["webhook_url"] == nil {
			continue
		}
		delete(n, "type")
		delete(n, "webhook_url")
		var err error
		if nodes[i], err = json.Marshal(n); err != nil {
			return err
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	var err error
	body["nodes"], err = json.Marshal(nodes)
	return err
}

// inBody places the faults of a definition in the request's body.
func inBody(err error) error {
	f := fault.As(err)
	if f == nil {
		return err
	}
	for i, d := range f.Details {
		if d.Location == "" {
			f.Details[i].Location = "body"
		} else {
			f.Details[i].Location = "body." + d.Location
		}
	}
	return f
}

// reportOf tells the faults of a definition that cannot be read as a report.
func reportOf(err error) (workflow.Report, error) {
	f := fault.As(err)
	if f == nil || f.Kind != fault.Invalid {
		return workflow.Report{}, err
	}
	r := workflow.Report{Errors: []workflow.Problem{}, Warnings: []workflow.Problem{}}
	for _, d := range f.Details {
		r.Errors = append(r.Errors, workflow.Problem{Code: d.Code, Message: d.Message, Path: d.Location})
	}
	return r, nil
}

// patch reads the fields that are sent; null clears what can be empty.
func (s *Server) patch(body map[string]json.RawMessage) (workflow.Patch, error) {
	var p workflow.Patch
	if text, sent := body["message"]; sent {
		delete(body, "message")
		if json.Unmarshal(text, &p.Message) != nil || len(p.Message) > 1000 {
			return p, wanted("body.message", "a text of at most 1000 bytes")
		}
	}
	sent := map[string]bool{}
	for key, text := range body {
		sent[key] = true
		if key != "name" && key != "nodes" && bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
			delete(body, key)
			if !clearable(key) {
				return p, wanted("body."+key, "there is no such field")
			}
		}
	}
	d, err := s.definition(withPlaceholders(body))
	if err != nil {
		return p, err
	}
	pick(sent["name"], &p.Name, &d.Name)
	pick(sent["description"], &p.Description, &d.Description)
	pick(sent["tags"], &p.Tags, &d.Tags)
	pick(sent["settings"], &p.Settings, &d.Settings)
	pick(sent["nodes"], &p.Nodes, &d.Nodes)
	pick(sent["connections"], &p.Connections, &d.Connections)
	pick(sent["tests"], &p.Tests, &d.Tests)
	return p, nil
}

func clearable(key string) bool {
	switch key {
	case "description", "tags", "settings", "connections", "tests":
		return true
	}
	return false
}

// withPlaceholders fills what the format requires and a change may leave out.
func withPlaceholders(body map[string]json.RawMessage) map[string]json.RawMessage {
	out := map[string]json.RawMessage{"name": json.RawMessage(`"-"`), "nodes": json.RawMessage(`[]`)}
	for key, text := range body {
		out[key] = text
	}
	return out
}

func pick[T any](sent bool, field **T, value *T) {
	if sent {
		*field = value
	}
}
