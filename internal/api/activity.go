package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/workspace"
)

// Activity is one thing somebody did in a workspace.
type Activity struct {
	ID           string          `json:"id"`
	WorkspaceID  string          `json:"workspace_id"`
	Seq          int64           `json:"seq" doc:"Its place in the workspace's chain"`
	UserID       string          `json:"user_id"`
	UserEmail    string          `json:"user_email"`
	Action       string          `json:"action" example:"workflow.published"`
	ResourceType string          `json:"resource_type"`
	ResourceID   string          `json:"resource_id"`
	Before       json.RawMessage `json:"before,omitempty"`
	After        json.RawMessage `json:"after,omitempty"`
	IP           string          `json:"ip"`
	UserAgent    string          `json:"user_agent"`
	Timestamp    Time            `json:"timestamp"`
}

func viewActivity(a workspace.Activity) Activity {
	return Activity{ID: a.ID, WorkspaceID: a.WorkspaceID, Seq: a.Seq, UserID: a.UserID, UserEmail: a.UserEmail, Action: a.Action, ResourceType: a.ResourceType,
		ResourceID: a.ResourceID, Before: a.Before, After: a.After, IP: a.IP, UserAgent: a.UserAgent, Timestamp: Time(a.At)}
}

func (s *Server) activityRoutes() {
	register(s, op{Method: "GET", Path: "/activity", ID: "list-activity", Tag: "workspaces", Summary: "What was done in a workspace, newest first",
		Notes: "Owners and admins see everybody's entries, others their own."}, s.listActivity)
}

type listActivityInput struct {
	Paging
	InWorkspace
	UserID string `query:"user_id" format:"uuid"`
	Action string `query:"action" maxLength:"100"`
	Cursor string `query:"cursor" maxLength:"100" doc:"The next_cursor of the page before; replaces offset"`
}

func (s *Server) listActivity(ctx context.Context, by access.Actor, in *listActivityInput) (*Body[CursorPage[Activity]], error) {
	f := workspace.ActivityFilter{UserID: in.UserID, Action: in.Action, Limit: in.Limit, Offset: in.Offset}
	if in.Cursor != "" {
		before, ok := readCursor(in.Cursor)
		if !ok {
			return nil, wanted("query.cursor", "this is not the next_cursor of a page")
		}
		f.Before, f.Offset = before, 0
	}
	items, total, err := s.Workspaces.Activity(ctx, by, in.WorkspaceID, f)
	if err != nil {
		return nil, err
	}
	page := CursorPage[Activity]{Items: views(items, viewActivity), Total: total, Limit: in.Limit, Offset: f.Offset}
	if len(items) == in.Limit && items[len(items)-1].Seq > 1 {
		page.NextCursor = writeCursor(items[len(items)-1].Seq)
	}
	return &Body[CursorPage[Activity]]{page}, nil
}

// writeCursor makes a place in a list opaque, so that nobody relies on what it is.
func writeCursor(seq int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte("s" + strconv.FormatInt(seq, 10)))
}

func readCursor(cursor string) (int64, bool) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	digits, found := strings.CutPrefix(string(text), "s")
	seq, parseErr := strconv.ParseInt(digits, 10, 64)
	return seq, err == nil && found && parseErr == nil && seq > 0
}
