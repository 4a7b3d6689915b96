package api

import (
	"context"

	"agentstudio/internal/access"
	"agentstudio/internal/workflow"
)

// WorkflowVersion is one saved version; lists leave its definition out.
type WorkflowVersion struct {
	Version    int                  `json:"version"`
	UserID     string               `json:"user_id" doc:"Who saved it"`
	Message    string               `json:"message"`
	CreatedAt  Time                 `json:"created_at"`
	Definition *workflow.Definition `json:"definition,omitempty"`
}

func viewVersion(v workflow.Version) WorkflowVersion {
	return WorkflowVersion{Version: v.Number, UserID: v.UserID, Message: v.Message, CreatedAt: Time(v.CreatedAt), Definition: v.Definition}
}

func (s *Server) versionRoutes() {
	register(s, op{Method: "GET", Path: "/workflows/{id}/versions", ID: "list-versions", Tag: "workflows", Summary: "Saved versions, newest first"}, s.listVersions)
	register(s, op{Method: "GET", Path: "/workflows/{id}/versions/{version}", ID: "get-version", Tag: "workflows", Summary: "One saved version with its definition"}, s.getVersion)
	register(s, op{Method: "POST", Path: "/workflows/{id}/versions/{version}/restore", ID: "restore-version", Tag: "workflows", Summary: "Save an earlier version as a new one"}, s.restoreVersion)
	register(s, op{Method: "GET", Path: "/workflows/{id}/diff", ID: "diff-versions", Tag: "workflows", Summary: "How two versions differ, by node and field"}, s.diffVersions)
}

type listVersionsInput struct {
	IDPath
	Paging
}

func (s *Server) listVersions(ctx context.Context, by access.Actor, in *listVersionsInput) (*Body[Page[WorkflowVersion]], error) {
	items, total, err := s.Workflows.Saved(ctx, by, in.ID, in.Limit, in.Offset)
	if err != nil {
		return nil, err
	}
	return pageOf(items, total, in.Paging, viewVersion), nil
}

// VersionPath names a version of a workflow.
type VersionPath struct {
	IDPath
	Version int `path:"version" minimum:"1" maximum:"2147483647"`
}

func (s *Server) getVersion(ctx context.Context, by access.Actor, in *VersionPath) (*Body[WorkflowVersion], error) {
	v, err := s.Workflows.SavedVersion(ctx, by, in.ID, in.Version)
	if err != nil {
		return nil, err
	}
	return &Body[WorkflowVersion]{viewVersion(*v)}, nil
}

func (s *Server) restoreVersion(ctx context.Context, by access.Actor, in *VersionPath) (*oneWorkflow, error) {
	return s.answerWorkflow(ctx)(s.Workflows.Restore(ctx, by, in.ID, in.Version))
}

type diffInput struct {
	IDPath
	From int `query:"from" required:"true" minimum:"1" maximum:"2147483647"`
	To   int `query:"to" required:"true" minimum:"1" maximum:"2147483647"`
}

func (s *Server) diffVersions(ctx context.Context, by access.Actor, in *diffInput) (*Body[workflow.Diff], error) {
	d, err := s.Workflows.Diff(ctx, by, in.ID, in.From, in.To)
	if err != nil {
		return nil, err
	}
	return &Body[workflow.Diff]{d}, nil
}
