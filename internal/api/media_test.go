package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/api"
	"agentstudio/internal/limit"
)

func TestImagesAreMadeAndKeptAsFiles(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.Limits.AI = limit.Rate{Requests: 6, Per: time.Hour} }})
	w := s.team()
	in := "?workspace_id=" + w.id
	made := s.do("POST", "/tools/ai/image"+in, w.editor.token, `{"prompt":"A red kite over Wales","n":2,"aspect_ratio":"16:9","output_format":"jpeg"}`).expect(200).
		expectAt("model", "demo/image").expectAt("demo", true).expectAt("cost_usd", 0).expectAt("images.1.content_type", "image/jpeg").expectAt("images.0.width", 384).expectAt("images.0.height", 216)
	if made.text("images.0.file_id") == made.text("images.1.file_id") {
		t.Error("both pictures are one file")
	}
	if !strings.HasSuffix(made.text("images.0.url"), "/tools/files/"+made.text("images.0.file_id")+"?download=1") {
		t.Errorf("the picture is at %s", made.text("images.0.url"))
	}
	picture := s.do("GET", "/tools/files/"+made.text("images.0.file_id")+"?download=1", w.viewer.token, nil).expect(200)
	if !strings.HasPrefix(string(picture.Body), "\xff\xd8\xff") {
		t.Error("the content is no JPEG")
	}
	if n := s.booked(`provider = 'demo' AND kind = 'image' AND units = 2 AND outcome = 'answered' AND cost_micros = 0 AND user_id = '` + w.editor.id + `'`); n != 1 {
		t.Errorf("%d calls of the model are in the ledger", n)
	}
	if n := s.booked(`tool = 'image_generate' AND cost_micros = 0 AND units = 0`); n != 1 {
		t.Errorf("%d calls of the tool are in the ledger", n)
	}
	s.do("POST", "/tools/ai/image"+in, w.viewer.token, `{"prompt":"x"}`).problem(403, "forbidden")
	s.do("POST", "/tools/ai/image"+in, w.editor.token, `{"prompt":"x","n":5}`).problem(422, "invalid")
	s.do("POST", "/tools/ai/image"+in, w.editor.token, `{"prompt":"x","model":"nobody/none"}`).problem(422, "invalid").expectAt("code", "unknown_model")
	webp := s.do("POST", "/tools/ai/image"+in, w.editor.token, `{"prompt":"x","output_format":"webp"}`).problem(422, "invalid")
	if at := webp.locations(); len(at) != 1 || at[0] != "body.output_format" {
		t.Errorf("the fault is at %v", at)
	}
	s.do("POST", "/budgets", w.owner.token, map[string]any{"workspace_id": w.id, "scope": "workspace", "period": "day", "max_tokens": 1}).expect(201)
	s.do("POST", "/tools/ai/image"+in, w.editor.token, `{"prompt":"x"}`).problem(http.StatusPaymentRequired, "budget_exceeded")
	s.do("POST", "/tools/ai/image"+in, w.editor.token, `{"prompt":"x"}`).problem(http.StatusPaymentRequired, "budget_exceeded")
	if over := s.do("POST", "/tools/image_generate/call"+in, w.editor.token, `{"arguments":{"prompt":"x"}}`).problem(http.StatusPaymentRequired, "budget_exceeded"); over == nil {
		t.Error("no answer")
	}
	s.do("POST", "/tools/ai/image"+in, w.editor.token, `{"prompt":"x"}`).problem(429, "too_many").expectAt("code", "ai")
}

func TestSpeechIsMadeAndHeard(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	in := "?workspace_id=" + w.id
	made := s.do("POST", "/tools/ai/speech"+in, w.editor.token, `{"text":"Mind the gap"}`).expect(200).expectAt("model", "demo/speech").expectAt("content_type", "audio/wav").expectAt("cost_usd", 0)
	heard := s.do("POST", "/tools/ai/transcribe"+in, w.editor.token, `{"file_id":"`+made.text("file_id")+`"}`).expect(200).expectAt("model", "demo/transcription")
	if !strings.Contains(heard.text("text"), "[demo]") || !strings.Contains(heard.text("text"), "800ms") {
		t.Errorf("heard %q", heard.text("text"))
	}
	s.do("POST", "/tools/ai/transcribe"+in, w.editor.token, `{"path":"`+made.text("path")+`"}`).expect(200)
	if n := s.booked(`kind = 'transcription' AND units = 750`) + s.booked(`kind = 'speech' AND units = 12`); n != 3 {
		t.Errorf("%d calls are in the ledger", n)
	}
	s.do("POST", "/tools/ai/transcribe"+in, w.editor.token, `{}`).problem(422, "invalid")
	s.do("POST", "/tools/ai/transcribe"+in, w.editor.token, `{"path":"nothing.wav"}`).problem(404, "not_found")
	s.do("POST", "/tools/ai/transcribe", w.editor.token, `{"file_id":"00000000-0000-7000-8000-000000000000"}`).problem(404, "not_found")
	outsider := s.signIn("outsider@example.com")
	s.do("POST", "/tools/ai/transcribe", outsider.token, `{"file_id":"`+made.text("file_id")+`"}`).problem(404, "not_found")
}
