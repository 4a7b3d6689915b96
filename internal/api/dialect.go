package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/chat"
	"agentstudio/internal/fault"

	"github.com/danielgtaylor/huma/v2"
)

// modelBase is where clients of other people's models come in: agents and
// workflows are models there, in the protocols of OpenAI and Anthropic.
const modelBase = "/v1"

func isModelPath(path string) bool {
	return path == modelBase || strings.HasPrefix(path, modelBase+"/")
}

// dialect is a protocol in which models are asked. What it returns is written as
// JSON.
type dialect interface {
	// read reads a question. Its faults are those of this API.
	read(body []byte) (chat.Question, telling, error)
	answer(t telling, a *chat.Answer) any
	problem(p *Problem) any
	// stream tells an answer in pieces.
	stream(out *sse, t telling) teller
	models(all []chat.Model, r *http.Request) any
	model(m chat.Model) any
}

// teller writes one answer as it comes. Its methods fail when the listener is
// gone.
type teller interface {
	begin() error
	text(piece string) error
	end(a *chat.Answer) error
	fail(p *Problem) error
	beat() error
}

// telling is how an answer is to be told.
type telling struct {
	id     string // of the answer
	model  string // as it was asked for
	at     time.Time
	stream bool
	usage  bool // whether a stream ends with what was used
}

// dialectOf is the protocol a request speaks.
func dialectOf(r *http.Request) dialect {
	if strings.HasPrefix(r.URL.Path, modelBase+"/messages") || r.Header.Get("Anthropic-Version") != "" {
		return anthropicDialect{}
	}
	return openaiDialect{}
}

func (s *Server) modelRoutes() {
	s.modelOperations()
	type handler = func(w http.ResponseWriter, r *http.Request, by access.Actor, workspaceID string) error
	guarded := func(handle handler) http.Handler {
		return s.authenticated(s.bodied(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			by := callOf(r.Context()).by
			workspaceID, err := mcpWorkspace(by, r)
			if err == nil && s.Chat == nil {
				err = fault.New(fault.NotConfigured, "this studio has no models")
			}
			if err == nil {
				err = handle(w, r, by, workspaceID)
			}
			if err != nil {
				s.fail(w, r, err)
			}
		})))
	}
	s.router.Method(http.MethodPost, modelBase+"/chat/completions", guarded(s.askModel))
	s.router.Method(http.MethodPost, modelBase+"/messages", guarded(s.askModel))
	s.router.Method(http.MethodGet, modelBase+"/models", guarded(s.listChatModels))
	s.router.Method(http.MethodGet, modelBase+"/models/*", guarded(s.getChatModel))
}

// modelOperations describes them: what goes over them is the protocols'.
func (s *Server) modelOperations() {
	schemas := s.api.OpenAPI().Components.Schemas
	body := func(example any, name string) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(reflect.TypeOf(example), true, name)}}
	}
	add := func(method, path, id, summary, notes string, in, out map[string]*huma.MediaType, params ...*huma.Param) {
		o := &huma.Operation{OperationID: id, Method: method, Path: modelBase + path, Summary: summary, Description: notes, Tags: []string{"models"},
			Security: []map[string][]string{{"bearer": {}}}, Parameters: params,
			Responses: map[string]*huma.Response{"200": {Description: "OK", Content: out}, "default": {Description: "What went wrong, in the protocol's own form"}}}
		if in != nil {
			o.RequestBody = &huma.RequestBody{Required: true, Content: in}
		}
		s.api.OpenAPI().AddOperation(o)
	}
	chunks := func(out map[string]*huma.MediaType) map[string]*huma.MediaType {
		out[eventStream] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
		return out
	}
	add("GET", "/models", "list-chat-models", "Agents and published chat workflows, as models", "In OpenAI's form, or with the header anthropic-version in Anthropic's. Of the key's workspace.", nil, body(openaiModels{}, "OpenAIModels"))
	add("GET", "/models/{id}", "get-chat-model", "One agent or workflow, as a model", "", nil, body(openaiModel{}, "OpenAIModel"),
		&huma.Param{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
	add("POST", "/chat/completions", "create-chat-completion", "Talk to an agent or workflow as OpenAI's clients do", "OpenAI's Chat Completions protocol; see the guide for what is taken and what is refused.",
		body(openaiRequest{}, "OpenAIRequest"), chunks(body(openaiCompletion{}, "OpenAICompletion")))
	add("POST", "/messages", "create-message", "Talk to an agent or workflow as Anthropic's clients do", "Anthropic's Messages protocol; the key may also come as x-api-key.",
		body(anthropicRequest{}, "AnthropicRequest"), chunks(body(anthropicMessage{}, "AnthropicMessage")))
}

func (s *Server) listChatModels(w http.ResponseWriter, r *http.Request, by access.Actor, workspaceID string) error {
	all, err := s.Chat.Models(r.Context(), by, workspaceID)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, dialectOf(r).models(all, r))
	return nil
}

func (s *Server) getChatModel(w http.ResponseWriter, r *http.Request, by access.Actor, workspaceID string) error {
	id := strings.TrimPrefix(r.URL.Path, modelBase+"/models/")
	m, err := s.Chat.Model(r.Context(), by, workspaceID, id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, dialectOf(r).model(m))
	return nil
}

// askModel answers a question of either protocol. Whoever stops listening stops
// the work.
func (s *Server) askModel(w http.ResponseWriter, r *http.Request, by access.Actor, workspaceID string) error {
	if err := by.Need(workspaceID, access.Execute); err != nil {
		return err
	}
	speaks := dialectOf(r)
	q, t, err := speaks.read(bodyBytes(r))
	if err != nil {
		return err
	}
	t.id, t.model, t.at = strings.ReplaceAll(s.cfg.NewID(), "-", ""), q.Model, s.cfg.Now()
	if err := s.take(r.Context(), w.Header(), "ai", by.UserID, s.cfg.Limits.AI); err != nil {
		return err
	}
	if !s.enter() {
		return errStopping
	}
	defer s.live.Done()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer s.onStop(func() { cancel(errStopping) })()
	if t.stream {
		return s.streamModel(ctx, w, speaks, t, func(ctx context.Context, onText func(string)) (*chat.Answer, error) {
			return s.Chat.Ask(ctx, by, workspaceID, q, onText)
		})
	}
	a, err := s.Chat.Ask(ctx, by, workspaceID, q, nil)
	if err != nil {
		return stoppedBy(ctx, err)
	}
	writeJSON(w, http.StatusOK, speaks.answer(t, a))
	return nil
}

// stoppedBy is the server's stop, when that is why the work ended.
func stoppedBy(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); fault.Is(cause, fault.Unavailable) {
		return cause
	}
	return err
}

// streamModel tells an answer as it comes. A failure before its first word is
// told as any failure, unless it took long to come.
func (s *Server) streamModel(ctx context.Context, w http.ResponseWriter, speaks dialect, t telling, ask func(context.Context, func(string)) (*chat.Answer, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	pieces := make(chan string, 64)
	var a *chat.Answer
	var failed error
	working.Go(func() {
		defer close(pieces) // a and failed are read after it
		a, failed = ask(ctx, func(text string) {
			select {
			case pieces <- text:
			case <-ctx.Done():
			}
		})
	})
	beat := time.NewTicker(s.cfg.Heartbeat)
	defer beat.Stop()
	var out teller
	begin := func() error {
		if out != nil {
			return nil
		}
		out = speaks.stream(newSSE(w), t)
		return out.begin()
	}
	for {
		var err error
		select {
		case text, more := <-pieces:
			if !more && failed != nil && out == nil {
				return stoppedBy(ctx, failed)
			}
			if err = begin(); err != nil {
				return nil //nolint:nilerr // the listener is gone
			}
			switch {
			case more:
				err = out.text(text)
			case failed != nil:
				_ = out.fail(s.problem(ctx, stoppedBy(ctx, failed))) // as above
				return nil
			default:
				_ = out.end(a)
				return nil
			}
		case <-beat.C:
			if err = begin(); err == nil {
				err = out.beat()
			}
		}
		if err != nil {
			return nil //nolint:nilerr // the listener is gone
		}
	}
}

// modelToken is the key of a request: Anthropic's clients send it in a header
// of their own.
func modelToken(r *http.Request) string {
	if token := bearer(r); token != "" || !isModelPath(r.URL.Path) {
		return token
	}
	return strings.TrimSpace(r.Header.Get("X-Api-Key"))
}

// writeModelProblem tells a failure in the protocol's form.
func (s *Server) writeModelProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	told := *p
	if told.Status == http.StatusUnprocessableEntity {
		told.Status = http.StatusBadRequest // what both protocols call it
	}
	h := w.Header()
	if told.Status != http.StatusTooManyRequests && told.Status != http.StatusServiceUnavailable {
		h.Set("X-Should-Retry", "false") // clients would ask again by themselves, and tools act again
	}
	h.Set("Request-Id", callOf(r.Context()).id)
	writeJSON(w, told.Status, dialectOf(r).problem(&told))
}
