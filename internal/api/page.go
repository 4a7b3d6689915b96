package api

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"agentstudio/internal/access"

	"github.com/danielgtaylor/huma/v2"
)

// Paging is the input of lists. Inputs embed it; the library sees exported
// types only.
type Paging struct {
	Limit  int `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"At most so many items"`
	Offset int `query:"offset" minimum:"0" maximum:"1000000000" doc:"Leave out so many"`
}

// Page is one page of a list.
type Page[T any] struct {
	Items  []T `json:"items"`
	Total  int `json:"total" doc:"How many match the filters in all; of more than 10,000 it may be up to 30 seconds old"`
	Limit  int `json:"limit"`
	Offset int `json:"offset"`
}

// CursorPage is one page of a long list.
type CursorPage[T any] struct {
	Items      []T    `json:"items"`
	Total      int    `json:"total" doc:"How many match the filters in all; of more than 10,000 it may be up to 30 seconds old"`
	Limit      int    `json:"limit"`
	Offset     int    `json:"offset"`
	NextCursor string `json:"next_cursor,omitempty" doc:"Send it as cursor to go on; missing on the last page"`
}

// Body is an answer without headers of its own.
type Body[T any] struct{ Body T }

func pageOf[A, B any](items []A, total int, p Paging, view func(A) B) *Body[Page[B]] {
	return &Body[Page[B]]{Page[B]{Items: views(items, view), Total: total, Limit: p.Limit, Offset: p.Offset}}
}

func views[A, B any](items []A, view func(A) B) []B {
	out := make([]B, len(items))
	for i, item := range items {
		out[i] = view(item)
	}
	return out
}

// IDPath is the id in a path.
type IDPath struct {
	ID string `path:"id" format:"uuid"`
}

// Match is the guard against overwriting what somebody else has changed.
type Match struct {
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that was read; 412 when it is not the present one"`
}

// tag returns the bare ETag asked for; "" or "*" for any.
func (m Match) tag() string {
	tag := strings.TrimPrefix(strings.TrimSpace(m.IfMatch), "W/")
	return strings.Trim(tag, `"`)
}

// version returns the version asked for; 0 for any, -1 for one that never was.
func (m Match) version() int64 {
	tag := m.tag()
	if tag == "" || tag == "*" {
		return 0
	}
	n, err := strconv.ParseInt(tag, 10, 64)
	if err != nil || n < 1 {
		return -1
	}
	return n
}

func quoted(tag string) string { return `"` + tag + `"` }

// InWorkspace names the workspace a list or a new thing belongs to.
type InWorkspace struct {
	WorkspaceID string `query:"workspace_id" format:"uuid" doc:"Left out: the personal workspace, or the one of the API key"`
}

func workspaceOr(by access.Actor, id string) string {
	if id == "" {
		return by.Personal
	}
	return id
}

// Time is a moment: RFC 3339 in UTC, to the millisecond.
type Time time.Time

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(text []byte) error { return (*time.Time)(t).UnmarshalJSON(text) }

// Schema describes a Time.
func (Time) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "string", Format: "date-time"}
}

// when returns a moment, or nil for none.
func when(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	out := Time(t)
	return &out
}

func whenPtr(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	return when(*t)
}

// Object is a free-form JSON object, kept as it is.
type Object json.RawMessage

// MarshalJSON implements json.Marshaler.
func (o Object) MarshalJSON() ([]byte, error) { return json.RawMessage(o).MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (o *Object) UnmarshalJSON(text []byte) error { *o = append((*o)[:0], text...); return nil }

// Schema describes an Object.
func (Object) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "object", AdditionalProperties: true}
}

// optional gives the text, or nothing when it is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// cut returns the page of a list that is whole in memory.
func cut[T any](p Paging, all []T) []T {
	from := min(p.Offset, len(all))
	return all[from:min(from+p.Limit, len(all))]
}

// nullableText is a field that may be left out, cleared by null, or set.
type nullableText struct {
	sent  bool
	value *string
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *nullableText) UnmarshalJSON(text []byte) error {
	n.sent = true
	return json.Unmarshal(text, &n.value)
}

// Schema describes a nullableText.
func (nullableText) Schema(huma.Registry) *huma.Schema {
	most := 2000
	return &huma.Schema{Type: "string", Nullable: true, MaxLength: &most}
}

// change returns nil when the field was left out, else what it becomes.
func (n nullableText) change() **string {
	if !n.sent {
		return nil
	}
	return &n.value
}

// text returns nil when the field was left out, and no text for null.
func (n nullableText) text() *string {
	if n.sent && n.value == nil {
		return new(string)
	}
	return n.value
}
