package builtin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/file/filetest"
	"agentstudio/internal/outbound"
	"agentstudio/internal/tool"
	"agentstudio/internal/tool/builtin"
	"agentstudio/internal/webread"
	"agentstudio/internal/websearch"
)

type web struct{ asked outbound.Request }

func (w *web) Do(_ context.Context, in outbound.Request) (*outbound.Response, error) {
	w.asked = in
	return &outbound.Response{Status: http.StatusCreated, Body: []byte("made")}, nil
}

func (w *web) Configured() bool { return true }

func (w *web) Search(_ context.Context, query string, num int) ([]websearch.Result, error) {
	if query == "nothing" {
		return nil, nil
	}
	return []websearch.Result{{Title: "A", URL: "https://a.test", Description: query}}[:min(num, 1)], nil
}

func (w *web) Read(_ context.Context, address string) (webread.Page, error) {
	return webread.Page{Title: "T", URL: address, Content: strings.Repeat("x", 50_000)}, nil
}

func (w *web) Send(_ context.Context, to, _, _ string) error {
	if to == "full@x.test" {
		return fault.New(fault.Upstream, "the box is full")
	}
	return nil
}

func catalogue(t *testing.T) (*tool.Catalogue, *web) {
	w := &web{}
	now := func() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }
	return tool.NewCatalogue(builtin.Tools(builtin.Deps{Now: now, HTTP: w, Search: w, Read: w, Mail: w, Files: filetest.Paths(t, "w", 1<<20)})...), w
}

func TestToolsAnswer(t *testing.T) {
	c, w := catalogue(t)
	for _, s := range []struct{ tool, args, want string }{
		{"calculator", `{"expression":"(1 + 2) * 3 ** 2"}`, "27"},
		{"calculator", `{"expression":"sqrt(2) * sqrt(2)"}`, "2.0000000000000004"},
		{"calculator", `{"expression":"1 +"}`, "FAULT no arithmetic"},
		{"calculator", `{"expression":"'a' + 'b'"}`, "FAULT not a number"},
		{"calculator", `{"expression":"1 / 0"}`, "FAULT no finite value"},
		{"current_time", `{}`, "Monday, 4 May 2026, 12:00:00 UTC"},
		{"current_time", `{"time_zone":"Europe/Berlin"}`, "14:00:00 CEST"},
		{"current_time", `{"time_zone":"Mars"}`, "FAULT no time zone"},
		{"web_search", `{"query":"bees"}`, "1. A\n   https://a.test\n   bees"},
		{"web_search", `{"query":"nothing"}`, "Nothing was found"},
		{"web_read", `{"url":"https://a.test"}`, "[cut: 10000 more bytes]"},
		{"http_request", `{"method":"POST","url":"https://a.test","headers":{"x":"y"},"body":{"a":1}}`, "201 Created\n\nmade"},
		{"http_request", `{"url":"https://a.test","body":"text"}`, "201 Created"},
		{"file_list", `{}`, "There are no files."},
		{"file_write", `{"path":"a/b.txt","content":"hello"}`, "Wrote 5 bytes to a/b.txt."},
		{"file_read", `{"path":"a/b.txt"}`, "hello"},
		{"file_list", `{"folder":"a"}`, "a/b.txt (5 bytes)"},
		{"file_delete", `{"path":"a/b.txt"}`, "Deleted a/b.txt."},
		{"file_read", `{"path":"a/b.txt"}`, "FAULT no file"},
		{"file_read", `{"path":"../x"}`, "FAULT no path inside"},
		{"code_run", `{"code":"console.log('hi'); return input + 1","input":2}`, "3\n\nPrinted:\nhi"},
		{"code_run", `{"code":"throw 1"}`, "FAULT"},
		{"send_email", `{"to":"ann@x.test","subject":"s","text":"t"}`, "Sent to ann@x.test."},
		{"send_email", `{"to":"full@x.test","subject":"s","text":"t"}`, "FAULT box is full"},
		{"send_email", `{"to":"ann@x.test","subject":"s\nBcc: b@x.test","text":"t"}`, "FAULT one line"},
	} {
		found, err := c.Find(s.tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Validate(s.tool, json.RawMessage(s.args)); err != nil {
			t.Fatalf("%s %s: %v", s.tool, s.args, err)
		}
		result, err := found.Run(t.Context(), tool.Call{WorkspaceID: "w", Key: "e/n//turn-1/tool-1", Args: json.RawMessage(s.args)})
		if words, failing := strings.CutPrefix(s.want, "FAULT"); failing {
			if fault.As(err) == nil || !strings.Contains(err.Error(), strings.TrimSpace(words)) {
				t.Errorf("%s %s: got %v", s.tool, s.args, err)
			}
			continue
		}
		if err != nil || !strings.Contains(result.Text, s.want) {
			t.Errorf("%s %s: got %q, %v", s.tool, s.args, result.Text, err)
		}
		if s.tool == "http_request" && strings.Contains(s.args, "POST") && (w.asked.Header.Get("Idempotency-Key") != "e/n//turn-1/tool-1" || string(w.asked.Body) != `{"a":1}`) {
			t.Errorf("asked %+v", w.asked)
		}
	}
}

func TestEveryToolIsDescribed(t *testing.T) {
	c, _ := catalogue(t)
	for _, s := range c.All() {
		if s.Title == "" || s.Description == "" || s.Category == "" || s.Risk == "" || !regexp.MustCompile(`^[a-z0-9_]{1,64}$`).MatchString(s.Name) {
			t.Errorf("%s lacks a description", s.Name)
		}
	}
}

func TestToolsWithoutTheirDependencyAreListedAsNotConfigured(t *testing.T) {
	for _, s := range builtin.Tools(builtin.Deps{}) {
		if s.Configured == nil || s.Configured() {
			continue
		}
		if _, err := s.Run(t.Context(), tool.Call{Args: json.RawMessage(`{}`)}); !fault.Is(err, fault.NotConfigured) {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
}

func TestCatalogueSaysWhatIsWrong(t *testing.T) {
	c, _ := catalogue(t)
	if _, err := c.Find("calclator"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "did you mean calculator") {
		t.Errorf("got %v", err)
	}
	if err := c.Validate("none", nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	if err := c.Validate("calculator", json.RawMessage(`{`)); !fault.Is(err, fault.Malformed) {
		t.Errorf("got %v", err)
	}
	f := fault.As(c.Validate("file_write", json.RawMessage(`{"pth":"a"}`)))
	if f == nil || len(f.Details) != 3 {
		t.Errorf("not all faults at once: %+v", f)
	}
	defer func() {
		if recover() == nil {
			t.Error("a tool was listed twice")
		}
	}()
	tool.NewCatalogue(c.All()[0], c.All()[0])
}
