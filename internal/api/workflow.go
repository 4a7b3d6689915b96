package api

import (
	"context"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/account"
	"agentstudio/internal/workflow"
)

func (s *Server) workflowRoutes() {
	register(s, op{Method: "GET", Path: "/workflows", ID: "list-workflows", Tag: "workflows", Summary: "Workflows of a workspace, without their nodes"}, s.listWorkflows)
	register(s, op{Method: "POST", Path: "/workflows", ID: "create-workflow", Tag: "workflows", Status: 201, Creates: true, Summary: "Save a draft"}, s.createWorkflow)
	register(s, op{Method: "POST", Path: "/workflows/validate", ID: "validate-definition", Tag: "workflows", Summary: "What is wrong with a definition that is not stored"}, s.checkDefinition)
	register(s, op{Method: "POST", Path: "/workflows/import", ID: "import-workflow", Tag: "workflows", Status: 201, Creates: true, Summary: "Save a workflow from a file",
		Notes: "The body is the file itself: JSON, or YAML sent as application/yaml."}, s.importWorkflow)
	register(s, op{Method: "GET", Path: "/workflows/{id}", ID: "get-workflow", Tag: "workflows", Summary: "One workflow with its newest definition"}, s.getWorkflow)
	register(s, op{Method: "PUT", Path: "/workflows/{id}", ID: "update-workflow", Tag: "workflows", Summary: "Replace the fields that are sent",
		Notes: "A change of the definition makes a new version."}, s.updateWorkflow)
	register(s, op{Method: "DELETE", Path: "/workflows/{id}", ID: "delete-workflow", Tag: "workflows", Status: 204, Summary: "Delete a workflow with its versions and triggers",
		Notes: "Its executions stay readable."}, s.deleteWorkflow)
	register(s, op{Method: "PATCH", Path: "/workflows/{id}/status", ID: "set-workflow-status", Tag: "workflows", Summary: "Publish, take back to draft, or archive",
		Notes: "Publishing validates first (409 with every error), makes the newest version the live one and arms its triggers."}, s.setWorkflowStatus)
	register(s, op{Method: "POST", Path: "/workflows/{id}/duplicate", ID: "duplicate-workflow", Tag: "workflows", Status: 201, Creates: true, Summary: "Make a draft copy"}, s.duplicateWorkflow)
	register(s, op{Method: "POST", Path: "/workflows/{id}/validate", ID: "validate-workflow", Tag: "workflows", Summary: "What is wrong with a stored workflow"}, s.validateWorkflow)
	register(s, op{Method: "GET", Path: "/workflows/{id}/export", ID: "export-workflow", Tag: "workflows", Stream: "application/yaml", Summary: "The definition as a file"}, s.exportWorkflow)
}

type listWorkflowsInput struct {
	Paging
	InWorkspace
	Query  string   `query:"query" maxLength:"255" doc:"In name or description, in any case"`
	Status string   `query:"status" enum:"draft,published,archived"`
	Tags   []string `query:"tags,explode" maxItems:"20" doc:"Any of them"`
	Sort   string   `query:"sort" enum:"updated_at,-updated_at,created_at,-created_at,name,-name" doc:"Default -updated_at"`
}

func (s *Server) listWorkflows(ctx context.Context, by access.Actor, in *listWorkflowsInput) (*Body[Page[WorkflowSummary]], error) {
	f := workflow.Filter{Query: in.Query, Status: workflow.Status(in.Status), Tags: in.Tags, Sort: in.Sort, Limit: in.Limit, Offset: in.Offset}
	items, total, err := s.Workflows.List(ctx, by, workspaceOr(by, in.WorkspaceID), f)
	if err != nil {
		return nil, err
	}
	return pageOf(items, total, in.Paging, viewSummary), nil
}

type createWorkflowInput struct{ Body NewWorkflowBody }

func (s *Server) createWorkflow(ctx context.Context, by access.Actor, in *createWorkflowInput) (*oneWorkflow, error) {
	workspaceID, err := takeWorkspace(in.Body)
	if err != nil {
		return nil, err
	}
	d, err := s.definition(in.Body)
	if err != nil {
		return nil, err
	}
	return s.newWorkflow(ctx)(s.Workflows.Create(ctx, by, workspaceOr(by, workspaceID), d))
}

func (s *Server) getWorkflow(ctx context.Context, by access.Actor, in *IDPath) (*oneWorkflow, error) {
	return s.answerWorkflow(ctx)(s.Workflows.Find(ctx, by, in.ID))
}

type updateWorkflowInput struct {
	IDPath
	Match
	Body WorkflowPatchBody
}

func (s *Server) updateWorkflow(ctx context.Context, by access.Actor, in *updateWorkflowInput) (*oneWorkflow, error) {
	p, err := s.patch(in.Body)
	if err != nil {
		return nil, err
	}
	return s.answerWorkflow(ctx)(s.Workflows.Update(ctx, by, in.ID, in.tag(), p))
}

type deleteWorkflowInput struct {
	IDPath
	Match
}

func (s *Server) deleteWorkflow(ctx context.Context, by access.Actor, in *deleteWorkflowInput) (*none, error) {
	return nil, s.Workflows.Delete(ctx, by, in.ID, in.tag())
}

type setStatusInput struct {
	IDPath
	Match
	Body struct {
		Status string `json:"status" enum:"draft,published,archived"`
	}
}

func (s *Server) setWorkflowStatus(ctx context.Context, by access.Actor, in *setStatusInput) (*oneWorkflow, error) {
	return s.answerWorkflow(ctx)(s.Workflows.SetStatus(ctx, by, in.ID, in.tag(), workflow.Status(in.Body.Status)))
}

type duplicateInput struct {
	IDPath
	Body *struct {
		Name        string `json:"name,omitempty" maxLength:"255" doc:"Left out: the name with (Copy)"`
		WorkspaceID string `json:"workspace_id,omitempty" format:"uuid" doc:"Left out: the same"`
	}
}

func (s *Server) duplicateWorkflow(ctx context.Context, by access.Actor, in *duplicateInput) (*oneWorkflow, error) {
	name, workspaceID := "", ""
	if in.Body != nil {
		name, workspaceID = strings.TrimSpace(in.Body.Name), in.Body.WorkspaceID
	}
	return s.newWorkflow(ctx)(s.Workflows.Duplicate(ctx, by, in.ID, name, workspaceID))
}

func (s *Server) validateWorkflow(ctx context.Context, by access.Actor, in *IDPath) (*Body[workflow.Report], error) {
	r, err := s.Workflows.Validate(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	return &Body[workflow.Report]{r}, nil
}

type checkDefinitionInput struct{ Body DefinitionBody }

func (s *Server) checkDefinition(_ context.Context, _ access.Actor, in *checkDefinitionInput) (*Body[workflow.Report], error) {
	d, err := s.decode(in.Body)
	if err != nil {
		r, err := reportOf(err)
		return &Body[workflow.Report]{r}, err
	}
	return &Body[workflow.Report]{s.Workflows.Check(d)}, nil
}

type importInput struct {
	InWorkspace
	RawBody []byte `contentType:"application/yaml"`
}

func (s *Server) importWorkflow(ctx context.Context, by access.Actor, in *importInput) (*oneWorkflow, error) {
	d, err := s.Codec.Decode(in.RawBody)
	if err != nil {
		return nil, inBody(err)
	}
	return s.newWorkflow(ctx)(s.Workflows.Create(ctx, by, workspaceOr(by, in.WorkspaceID), d))
}

type exportInput struct {
	IDPath
	Format string `query:"format" enum:"yaml,json" default:"yaml"`
}

type definitionFile struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (s *Server) exportWorkflow(ctx context.Context, by access.Actor, in *exportInput) (*definitionFile, error) {
	w, err := s.Workflows.Find(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	write := s.Codec.EncodeYAML
	if in.Format == "json" {
		write = s.Codec.EncodeJSON
	}
	text, err := write(&w.Definition)
	if err != nil {
		return nil, err
	}
	return &definitionFile{ContentType: "application/" + in.Format, Disposition: `attachment; filename="` + account.Slug(w.Definition.Name) + "." + in.Format + `"`, Body: text}, nil
}
