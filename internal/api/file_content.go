package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
	"agentstudio/internal/file"
)

type uploadFileInput struct {
	InWorkspace
	Path    string `query:"path" maxLength:"512" doc:"Where it is kept; left out: the name the form gives"`
	Replace bool   `query:"replace" doc:"Put it in the place of the file that is there"`
}

func (s *Server) uploadFile(w http.ResponseWriter, r *http.Request, by access.Actor, in *uploadFileInput) error {
	body := &arriving{body: r.Body, extend: func() error {
		return http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.cfg.BodyTime))
	}}
	part, err := filePart(r, body)
	if err != nil {
		return s.brokenOff(body, err)
	}
	name := in.Path
	if name == "" {
		if name = part.FileName(); name == "" { // its last element only, whatever the form says
			return wanted("query.path", "the form names no file: say with path where it is to be kept")
		}
	}
	f, err := s.Files.Upload(r.Context(), by, file.Upload{WorkspaceID: workspaceOr(by, in.WorkspaceID), Path: name, Replace: in.Replace, Declared: max(0, r.ContentLength), Content: part})
	if err != nil {
		return s.brokenOff(body, err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", base+"/tools/files/"+f.ID)
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(viewFile(*f))
}

// maxParts is how many parts of a form may come before the file.
const maxParts = 20

// filePart returns the part of the form named file.
func filePart(r *http.Request, body io.Reader) (*multipart.Part, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return nil, &Problem{Type: "/docs/problems#unsupported_media_type", Title: "Unsupported media type", Status: http.StatusUnsupportedMediaType,
			Detail: "send the file as multipart/form-data, in a part named file"}
	}
	form := multipart.NewReader(body, params["boundary"])
	for range maxParts {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.Wrap(fault.Malformed, err, "the form cannot be read: is it complete?")
		}
		if part.FormName() == "file" {
			return part, nil
		}
		if _, err := io.Copy(io.Discard, io.LimitReader(part, 1<<20)); err != nil {
			return nil, fault.Wrap(fault.Malformed, err, "the form cannot be read: is it complete?")
		}
	}
	return nil, wanted("body.file", "the form has no part named file")
}

// brokenOff says of a body that did not arrive whole what became of it.
func (s *Server) brokenOff(body *arriving, err error) error {
	var network net.Error
	switch {
	case errors.As(body.err, &network) && network.Timeout():
		return fault.New(fault.Malformed, "nothing more of the file arrived within %s", s.cfg.BodyTime)
	case body.err != nil || errors.Is(err, io.ErrUnexpectedEOF) && fault.As(err) == nil:
		return fault.Wrap(fault.Malformed, err, "the file broke off before its end; nothing of it is kept")
	}
	return err
}

// arriving is a body that may take as long as it keeps coming.
type arriving struct {
	body   io.Reader
	extend func() error
	err    error // what ended it, but its end
}

func (a *arriving) Read(p []byte) (int, error) {
	_ = a.extend() // not every connection has deadlines
	n, err := a.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		a.err = err
	}
	return n, err
}

type getFileInput struct {
	IDPath
	Download bool `query:"download" doc:"1: the content instead of what is known of it"`
}

func (s *Server) getFile(w http.ResponseWriter, r *http.Request, by access.Actor, in *getFileInput) error {
	if !in.Download {
		f, err := s.Files.Find(r.Context(), by, in.ID)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(viewFile(*f))
	}
	f, content, err := s.Files.Open(r.Context(), by, in.ID)
	if err != nil {
		return err
	}
	defer content.Close()
	s.sendFile(w, r, f, content)
	return nil
}

// sendFile answers with a content. Whatever it is, a browser saves it and runs
// nothing of it.
func (s *Server) sendFile(w http.ResponseWriter, r *http.Request, f *file.File, content io.ReadSeeker) {
	h := w.Header()
	h.Set("Content-Type", f.ContentType)
	h.Set("Content-Disposition", attachment(f.Name()))
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("ETag", quoted(f.SHA256))
	h.Set("Cache-Control", "private, no-cache")
	patient := &leaving{ResponseWriter: w, extend: func() error {
		return http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.cfg.BodyTime))
	}}
	http.ServeContent(patient, r, "", f.UpdatedAt, content)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as in leaving
}

// attachment is the header of a file that is saved under a name.
func attachment(name string) string {
	if text := mime.FormatMediaType("attachment", map[string]string{"filename": name}); text != "" {
		return text
	}
	return "attachment"
}

// leaving is an answer that may take as long as its reader keeps taking it.
type leaving struct {
	http.ResponseWriter
	extend func() error
}

func (l *leaving) Write(p []byte) (int, error) {
	_ = l.extend() // not every connection has deadlines
	return l.ResponseWriter.Write(p)
}

func (l *leaving) Unwrap() http.ResponseWriter { return l.ResponseWriter }
