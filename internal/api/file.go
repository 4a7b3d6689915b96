package api

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/file"

	"github.com/danielgtaylor/huma/v2"
)

// File is a file of a workspace.
type File struct {
	ID          string  `json:"id" format:"uuid"`
	WorkspaceID string  `json:"workspace_id" format:"uuid"`
	UserID      *string `json:"user_id" doc:"Who uploaded it, or started the run that made it; null for triggers"`
	Name        string  `json:"name"`
	Path        string  `json:"path" doc:"Unique in the workspace; runs know it by this"`
	ContentType string  `json:"content_type" doc:"Found from the content, whatever the name says"`
	Size        int64   `json:"size" doc:"Bytes"`
	SHA256      string  `json:"sha256"`
	ExecutionID *string `json:"execution_id" doc:"The run that made it; null for uploads"`
	NodeID      *string `json:"node_id"`
	CreatedAt   Time    `json:"created_at"`
	UpdatedAt   Time    `json:"updated_at"`
}

func viewFile(f file.File) File {
	return File{ID: f.ID, WorkspaceID: f.WorkspaceID, UserID: optional(f.UserID), Name: f.Name(), Path: f.Path, ContentType: f.ContentType, Size: f.Size, SHA256: f.SHA256,
		ExecutionID: optional(f.ExecutionID), NodeID: optional(f.NodeID), CreatedAt: Time(f.CreatedAt), UpdatedAt: Time(f.UpdatedAt)}
}

// FilePage is one page of files, and what all files of the workspace take.
type FilePage struct {
	Page[File]
	UsedBytes  int64  `json:"used_bytes" doc:"What the workspace's files take together"`
	QuotaBytes *int64 `json:"quota_bytes" doc:"What they may take; null: no bound"`
}

func (s *Server) fileRoutes() {
	stream(s, op{Method: "POST", Path: "/tools/files/upload", ID: "upload-file", Tag: "files", Status: 201, Upload: true, Summary: "Upload a file",
		Notes: "A form (multipart/form-data) with one part named file. It is stored while it arrives, and kept whole or not at all. Its type is found from its content. " +
			"409 path_taken: there is a file of this path; quota: the workspace has no room. 413: it is larger than allowed here."}, s.uploadFile)
	register(s, op{Method: "GET", Path: "/tools/files", ID: "list-files", Tag: "files", Summary: "Files of a workspace, those of runs included"}, s.listFiles)
	stream(s, op{Method: "GET", Path: "/tools/files/{id}", ID: "get-file", Tag: "files", Download: true, Summary: "One file, or with download=1 its content",
		Notes: "The content honours Range, If-Range and If-None-Match."}, s.getFile)
	register(s, op{Method: "DELETE", Path: "/tools/files/{id}", ID: "delete-file", Tag: "files", Status: 204, Summary: "Delete a file for good"}, s.deleteFile)
	register(s, op{Method: "POST", Path: "/tools/files/{id}/link", ID: "share-file", Tag: "files", Status: 201, Summary: "Make a link that gives the content to whoever has it, until it expires"}, s.shareFile)
	stream(s, op{Method: "GET", Path: "/tools/files/{id}/content", ID: "get-linked-file", Tag: "files", Public: true, Download: true, Stream: octets, Summary: "The content of a file, by a link that was made for it"}, s.linkedFile)
	s.describeFiles()
}

const octets = "application/octet-stream"

// describeFiles says in the document what the library cannot see.
func (s *Server) describeFiles() {
	d := s.api.OpenAPI()
	one := d.Components.Schemas.Schema(reflect.TypeFor[File](), true, "File")
	upload := d.Paths[base+"/tools/files/upload"].Post
	upload.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{
		Type: "object", Required: []string{"file"}, Properties: map[string]*huma.Schema{"file": {Type: "string", Format: "binary"}}}}}}
	upload.Responses["201"] = &huma.Response{Description: "Created", Content: map[string]*huma.MediaType{"application/json": {Schema: one}}}
	d.Paths[base+"/tools/files/{id}"].Get.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{
		"application/json": {Schema: one}, octets: {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}
}

type listFilesInput struct {
	Paging
	InWorkspace
	Query       string `query:"query" maxLength:"255" doc:"In the path, in any case"`
	Folder      string `query:"folder" maxLength:"512" doc:"Only files below it"`
	Type        string `query:"type" maxLength:"100" doc:"Content type, or what it begins with: image/"`
	ExecutionID string `query:"execution_id" format:"uuid" doc:"Only files this run made"`
	Sort        string `query:"sort" enum:"created_at,-created_at,updated_at,-updated_at,path,-path,size,-size" doc:"Default -created_at"`
}

func (s *Server) listFiles(ctx context.Context, by access.Actor, in *listFilesInput) (*Body[FilePage], error) {
	ws := workspaceOr(by, in.WorkspaceID)
	f := file.Filter{Query: in.Query, Folder: in.Folder, Type: in.Type, ExecutionID: in.ExecutionID, Sort: in.Sort, Limit: in.Limit, Offset: in.Offset}
	items, total, err := s.Files.List(ctx, by, ws, f)
	if err != nil {
		return nil, err
	}
	room, err := s.Files.Room(ctx, by, ws)
	if err != nil {
		return nil, err
	}
	out := FilePage{Page: pageOf(items, total, in.Paging, viewFile).Body, UsedBytes: room.Used}
	if room.Quota > 0 {
		out.QuotaBytes = &room.Quota
	}
	return &Body[FilePage]{out}, nil
}

func (s *Server) deleteFile(ctx context.Context, by access.Actor, in *IDPath) (*none, error) {
	return nil, s.Files.Delete(ctx, by, in.ID)
}

type shareFileInput struct {
	IDPath
	Body *struct {
		ExpiresIn int `json:"expires_in,omitempty" minimum:"60" maximum:"604800" default:"3600" doc:"Seconds the link lasts"`
	}
}

// FileLink is an address that gives a file to whoever has it.
type FileLink struct {
	URL       string `json:"url" format:"uri"`
	ExpiresAt Time   `json:"expires_at"`
}

func (s *Server) shareFile(ctx context.Context, by access.Actor, in *shareFileInput) (*Body[FileLink], error) {
	last := time.Hour
	if in.Body != nil && in.Body.ExpiresIn != 0 {
		last = time.Duration(in.Body.ExpiresIn) * time.Second
	}
	if s.FileLinks == nil {
		return nil, fault.New(fault.NotConfigured, "this studio signs no links")
	}
	f, expires, err := s.Files.Share(ctx, by, in.ID, last)
	if err != nil {
		return nil, err
	}
	k := s.FileLinks.Sign(f.ID, expires)
	query := url.Values{"expires": {strconv.FormatInt(expires.Unix(), 10)}, "signature": {k.Signature}}
	from := s.cfg.PublicURL
	if from == "" {
		from = callOf(ctx).origin
	}
	return &Body[FileLink]{FileLink{URL: from + base + "/tools/files/" + f.ID + "/content?" + query.Encode(), ExpiresAt: Time(expires)}}, nil
}

type linkedFileInput struct {
	IDPath
	Expires   int64  `query:"expires" required:"true" doc:"Unix seconds"`
	Signature string `query:"signature" required:"true" maxLength:"100"`
}

func (s *Server) linkedFile(w http.ResponseWriter, r *http.Request, _ access.Actor, in *linkedFileInput) error {
	if s.FileLinks == nil {
		return fault.New(fault.NotConfigured, "this studio signs no links")
	}
	if err := s.FileLinks.Check(file.Link{FileID: in.ID, Expires: time.Unix(in.Expires, 0), Signature: in.Signature}, s.cfg.Now()); err != nil {
		return err
	}
	f, content, err := s.Files.OpenLinked(r.Context(), in.ID)
	if err != nil {
		return err
	}
	defer content.Close()
	s.sendFile(w, r, f, content)
	return nil
}
