package media_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/media"
	"agentstudio/internal/usage"
)

// dot is a PNG of one pixel, in base64.
func dot(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewRGBA(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// standIn is a provider's server: it notes what it is asked.
type standIn struct {
	url  string
	mu   sync.Mutex
	seen []asked
}

type asked struct {
	path   string
	header http.Header
	body   string
}

func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) *standIn {
	t.Helper()
	s := &standIn{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.seen = append(s.seen, asked{r.URL.Path, r.Header, string(body)})
		n := len(s.seen)
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		answer(w, r, n)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func say(w io.Writer, v any) { _ = json.NewEncoder(w).Encode(v) }

// book keeps records, and holds for the gate.
type book struct {
	mu      sync.Mutex
	records []usage.Record
	held    []int64
	over    bool
}

func (b *book) Record(_ context.Context, r usage.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, r)
}

func (b *book) Reserve(_ context.Context, _ usage.Record, cost, _ int64) (string, error) {
	if b.over {
		return "", fault.New(fault.OverBudget, "the budget is used up").WithCode("budget_exceeded")
	}
	b.held = append(b.held, cost)
	return "held", nil
}

func (b *book) Settle(ctx context.Context, _ string, r usage.Record) error {
	b.Record(ctx, r)
	return nil
}

func service(t *testing.T, b *book, providers ...media.Provider) *media.Service {
	t.Helper()
	prices, err := media.DefaultPrices()
	if err != nil {
		t.Fatal(err)
	}
	return media.New(media.Config{Ledger: b, Gate: b, Prices: prices, Sleep: func(context.Context, time.Duration) error { return nil }}, append(providers, media.Demo{})...)
}

func openAI(url string) media.Provider {
	return media.NewOpenAI(media.OpenAIConfig{BaseURL: url + "/v1", Key: "sk"})
}

func painting(model string) media.Request {
	return media.Request{Kind: media.Image, Model: model, Prompt: "a kite", Key: "x/n/"}
}

func TestOpenAIMakesImages(t *testing.T) {
	one := dot(t)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		say(w, map[string]any{"data": []any{map[string]any{"b64_json": one}, map[string]any{"b64_json": one}}, "usage": map[string]any{"input_tokens": 10, "output_tokens": 1000}})
	})
	b := &book{}
	r := painting("openai/gpt-image-1")
	r.N, r.AspectRatio = 1, "16:9"
	got, err := service(t, b, openAI(s.url)).Make(t.Context(), llm.Caller{UserID: "u", WorkspaceID: "w", WorkflowID: "f"}, r)
	if err != nil || len(got.Pieces) != 1 || got.Pieces[0].Format != "png" || got.Pieces[0].Width != 1 || got.Model != "openai/gpt-image-1" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if q := s.seen[0]; q.path != "/v1/images/generations" || q.header.Get("Authorization") != "Bearer sk" || q.header.Get("Idempotency-Key") != "x/n/" ||
		!strings.Contains(q.body, `"size":"1536x1024"`) || !strings.Contains(q.body, `"output_format":"png"`) || strings.Contains(q.body, "response_format") {
		t.Errorf("asked %+v", q)
	}
	if len(b.records) != 1 || b.records[0].Kind != "image" || b.records[0].Units != 2 || *b.records[0].CostMicros != 40_050 || b.records[0].WorkflowID != "f" || *got.CostMicros != 40_050 {
		t.Errorf("the ledger has %+v", b.records)
	}
	if len(b.held) != 1 || b.held[0] < 40_050 {
		t.Errorf("%v was held", b.held)
	}
}

func TestWhatPassesByItselfIsTriedAgainAndEveryAttemptIsEntered(t *testing.T) {
	one := dot(t)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		say(w, map[string]any{"data": []any{map[string]any{"b64_json": one}}})
	})
	b := &book{}
	got, err := service(t, b, openAI(s.url)).Make(t.Context(), llm.Caller{}, painting("openai/some-model"))
	if err != nil || got.CostMicros != nil || len(b.records) != 3 || b.records[0].ErrorCode != "overloaded" || b.records[2].Outcome != usage.Answered || b.records[2].CostMicros != nil {
		t.Errorf("got %+v, %v; the ledger has %+v", got, err, b.records)
	}
	if !strings.Contains(s.seen[0].body, `"response_format":"b64_json"`) {
		t.Errorf("a server that is not OpenAI's was asked %s", s.seen[0].body)
	}
}

func TestRefusalsAreToldAndNotRepeated(t *testing.T) {
	openai := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.WriteHeader(http.StatusBadRequest)
		say(w, map[string]any{"error": map[string]any{"code": "moderation_blocked", "message": "not that", "type": "image_generation_user_error"}})
	})
	gemini := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 1 {
			say(w, map[string]any{"promptFeedback": map[string]any{"blockReason": "PROHIBITED_CONTENT"}})
			return
		}
		say(w, map[string]any{"predictions": []any{map[string]any{"raiFilteredReason": "not that"}}})
	})
	stability := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 1 {
			w.WriteHeader(http.StatusForbidden)
			say(w, map[string]any{"name": "content_moderation", "errors": []string{"no"}})
			return
		}
		say(w, map[string]any{"image": dot(t), "finish_reason": "CONTENT_FILTERED"})
	})
	b := &book{}
	all := service(t, b, openAI(openai.url), media.NewGemini(media.GeminiConfig{Key: "g", BaseURL: gemini.url}), media.NewStability(media.StabilityConfig{Key: "s", BaseURL: stability.url}))
	for _, model := range []string{"openai/gpt-image-1", "gemini/gemini-2.5-flash-image", "gemini/imagen-4.0-generate-001", "stability/core", "stability/ultra"} {
		_, err := all.Make(t.Context(), llm.Caller{}, painting(model))
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Code != "refused" {
			t.Errorf("%s: %v", model, err)
		}
		if r := b.records[len(b.records)-1]; r.Outcome != usage.Refused || r.CostMicros != nil {
			t.Errorf("%s: the ledger has %+v", model, r)
		}
	}
	if len(b.records) != 5 {
		t.Errorf("%d calls were made", len(b.records))
	}
}

func TestGeminiDrawsAndPredicts(t *testing.T) {
	one := dot(t)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if strings.HasSuffix(r.URL.Path, ":predict") {
			say(w, map[string]any{"predictions": []any{map[string]any{"bytesBase64Encoded": one}, map[string]any{"raiFilteredReason": "one was too much"}, map[string]any{"bytesBase64Encoded": one}}})
			return
		}
		say(w, map[string]any{"candidates": []any{map[string]any{"content": map[string]any{"parts": []any{map[string]any{"text": "here"}, map[string]any{"inlineData": map[string]any{"data": one}}}}}},
			"usageMetadata": map[string]any{"promptTokenCount": 10, "candidatesTokenCount": 1290}})
	})
	b := &book{}
	all := service(t, b, media.NewGemini(media.GeminiConfig{Key: "g", BaseURL: s.url + "/v1beta"}))
	r := painting("gemini/gemini-2.5-flash-image")
	r.N, r.AspectRatio, r.Format = 2, "3:2", "jpeg"
	got, err := all.Make(t.Context(), llm.Caller{}, r)
	if err != nil || len(got.Pieces) != 2 || got.Pieces[1].Format != "jpeg" || !bytes.HasPrefix(got.Pieces[0].Content, []byte{0xff, 0xd8}) || *got.CostMicros != 2*38_703 || len(b.records) != 2 {
		t.Fatalf("got %+v, %v; %+v", got, err, b.records)
	}
	if q := s.seen[0]; q.path != "/v1beta/models/gemini-2.5-flash-image:generateContent" || q.header.Get("X-Goog-Api-Key") != "g" || !strings.Contains(q.body, `"aspectRatio":"3:2"`) {
		t.Errorf("asked %+v", q)
	}
	r.Model, r.N, r.Format = "imagen-4.0-generate-001", 3, ""
	got, err = all.Make(t.Context(), llm.Caller{}, r)
	if err != nil || len(got.Pieces) != 2 || !strings.Contains(got.Missing, "1 of 3") || *got.CostMicros != 80_000 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if q := s.seen[2]; !strings.Contains(q.body, `"sampleCount":3`) || !strings.Contains(q.body, `"aspectRatio":"4:3"`) {
		t.Errorf("asked %+v", q)
	}
}

func TestStabilityMakesOneAtATimeAndKeepsWhatWasPaid(t *testing.T) {
	one := dot(t)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 3 {
			w.WriteHeader(http.StatusPaymentRequired)
			say(w, map[string]any{"name": "payment_required", "errors": []string{"no credits left"}})
			return
		}
		say(w, map[string]any{"image": one, "finish_reason": "SUCCESS"})
	})
	r := painting("stability/sd3.5-large")
	r.N, r.AspectRatio = 4, "4:3"
	got, err := service(t, &book{}, media.NewStability(media.StabilityConfig{Key: "s", BaseURL: s.url})).Make(t.Context(), llm.Caller{}, r)
	if err != nil || len(got.Pieces) != 2 || *got.CostMicros != 130_000 || !strings.Contains(got.Missing, "2 of 4 pictures are missing") || !strings.Contains(got.Missing, "no credits left") {
		t.Fatalf("got %+v, %v", got, err)
	}
	if q := s.seen[0]; q.path != "/v2beta/stable-image/generate/sd3" || q.header.Get("Authorization") != "Bearer s" || !strings.Contains(q.body, "sd3.5-large") || !strings.Contains(q.body, "5:4") {
		t.Errorf("asked %+v", q)
	}
}

func TestSpeechGoesBothWays(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if strings.HasSuffix(r.URL.Path, "/speech") {
			w.Header().Set("Content-Type", "audio/mpeg")
			_, _ = w.Write([]byte("ID3 sound"))
			return
		}
		say(w, map[string]any{"text": "hello", "usage": map[string]any{"type": "duration", "seconds": 90}})
	})
	b := &book{}
	// A server that is not OpenAI's, under a name of its own.
	all := service(t, b, media.NewOpenAI(media.OpenAIConfig{Name: "local", BaseURL: s.url + "/v1"}))
	got, err := all.Make(t.Context(), llm.Caller{}, media.Request{Kind: media.Speech, Model: "local/tts-1", Text: "hello", Voice: "nova", Speed: 1.5})
	if err != nil || string(got.Pieces[0].Content) != "ID3 sound" || got.Pieces[0].Format != "mp3" || got.CostMicros != nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	if q := s.seen[0]; q.path != "/v1/audio/speech" || !strings.Contains(q.body, `"voice":"nova"`) || !strings.Contains(q.body, `"speed":1.5`) || !strings.Contains(q.body, `"response_format":"mp3"`) {
		t.Errorf("asked %+v", q)
	}
	got, err = all.Make(t.Context(), llm.Caller{}, media.Request{Kind: media.Transcription, Model: "local/whisper-1", Audio: []byte("RIFF sound"), AudioName: "a.wav", Language: "en", Prompt: "Wales"})
	if err != nil || got.Text != "hello" || got.Units.Heard != 90*time.Second || b.records[1].Units != 90_000 || b.records[0].Units != 5 {
		t.Fatalf("got %+v, %v; %+v", got, err, b.records)
	}
	if q := s.seen[1]; q.path != "/v1/audio/transcriptions" || !strings.Contains(q.body, `filename="a.wav"`) || !strings.Contains(q.body, "RIFF sound") || !strings.Contains(q.body, "Wales") {
		t.Errorf("asked %+v", q)
	}
}

func TestABudgetRefusesBeforeTheCall(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request, int) { t.Error("the call was made") })
	b := &book{over: true}
	if _, err := service(t, b, openAI(s.url)).Make(t.Context(), llm.Caller{WorkspaceID: "w"}, painting("openai/gpt-image-1")); !fault.Is(err, fault.OverBudget) {
		t.Errorf("got %v", err)
	}
	if len(b.records) != 0 {
		t.Errorf("the ledger has %+v", b.records)
	}
}

func TestCancelAndTimeoutsEndTheCall(t *testing.T) {
	began := make(chan struct{}, 2)
	gone := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		began <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-gone:
		}
	})
	t.Cleanup(func() { close(gone) })
	b := &book{}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	_, err := service(t, b, openAI(s.url)).Make(ctx, llm.Caller{}, painting("openai/gpt-image-1"))
	if !fault.Is(err, fault.Cancelled) || b.records[0].Outcome != usage.Cancelled {
		t.Errorf("got %v; %+v", err, b.records)
	}
	short := media.New(media.Config{Ledger: b, Timeout: 50 * time.Millisecond}, media.NewStability(media.StabilityConfig{Key: "s", BaseURL: s.url}))
	if _, err := short.Make(t.Context(), llm.Caller{}, painting("stability/core")); !fault.Is(err, fault.Timeout) || len(b.records) != 2 {
		t.Errorf("got %v; %+v", err, b.records)
	}
}

func TestAnswersAreBoundedAndRedirectsNotFollowed(t *testing.T) {
	other := serve(t, func(http.ResponseWriter, *http.Request, int) { t.Error("the key went elsewhere") })
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			http.Redirect(w, r, other.url, http.StatusTemporaryRedirect)
			return
		}
		chunk := bytes.Repeat([]byte{'x'}, 1<<20)
		for range 100 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	all := service(t, &book{}, media.NewStability(media.StabilityConfig{Key: "s", BaseURL: s.url}))
	if _, err := all.Make(t.Context(), llm.Caller{}, painting("stability/core")); err == nil {
		t.Error("a redirect was an answer")
	}
	s.mu.Lock()
	s.seen = append(s.seen[:0], asked{})
	s.mu.Unlock()
	if _, err := all.Make(t.Context(), llm.Caller{}, painting("stability/core")); !fault.Is(err, fault.TooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestRequestsAreCheckedWhole(t *testing.T) {
	all := service(t, &book{}, media.NewStability(media.StabilityConfig{}))
	_, err := all.Make(t.Context(), llm.Caller{}, media.Request{Kind: media.Image, N: 5, AspectRatio: "1:7", Format: "gif"})
	if f := fault.As(err); f == nil || len(f.Details) != 4 {
		t.Errorf("got %+v", f)
	}
	for model, words := range map[string]string{"demo/speech": "no model", "stability/coree": "set STABILITY_API_KEY", "imag": "demo/image", "demo/none": "no model"} {
		_, err := all.Make(t.Context(), llm.Caller{}, painting(model))
		if f := fault.As(err); f == nil || !strings.Contains(f.Message, words) {
			t.Errorf("%s: %v", model, err)
		}
	}
	if _, err := all.Make(t.Context(), llm.Caller{}, media.Request{Kind: media.Speech, Text: strings.Repeat("x", media.MaxSpoken+1)}); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
	got, err := all.Make(t.Context(), llm.Caller{}, painting(""))
	if err != nil || !got.Demo || got.Model != "demo/image" || *got.CostMicros != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestPricesCanBeReplaced(t *testing.T) {
	p, err := media.DefaultPrices([]byte(`{"models":{"stability/core":{"image":1},"openai/tts-1":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if c := p.Cost("stability/core", media.Units{Images: 2}); c == nil || *c != 2_000_000 {
		t.Errorf("got %v", c)
	}
	for _, unknown := range []string{"openai/tts-1", "nobody/none", "openai/gpt-image-1"} {
		if c := p.Cost(unknown, media.Units{Characters: 5, Images: 1}); c != nil {
			t.Errorf("%s costs %d", unknown, *c)
		}
	}
	if c := p.Cost("openai/whisper-1", media.Units{Uncounted: true}); c != nil {
		t.Errorf("what was not counted costs %d", *c)
	}
	if _, err := media.DefaultPrices([]byte("{")); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
