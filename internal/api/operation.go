package api

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
)

const base = "/api/v1"

// op declares one operation. A route is one declaration.
type op struct {
	Method   string
	Path     string // under /api/v1
	ID       string // for generated clients: "list-workflows"
	Tag      string
	Summary  string
	Notes    string // markdown; may be empty
	Status   int    // of success; 200
	Also     []int  // further statuses of success
	Public   bool   // needs no credentials
	Creates  bool   // honours Idempotency-Key
	Upload   bool   // its handler reads the body, as it arrives
	Download bool   // its answer may take as long as its reader takes
	// Stream is the media type of an answer that is not JSON; empty for JSON.
	Stream string
}

// traits are what the adapter must know of an operation.
type traits struct{ public, creates, reads, uploads bool }

const traitsKey = "traits"

// register adds an operation. The handler gets who is asking as an argument;
// for a public operation that may be nobody.
func register[I, O any](s *Server, o op, handle func(ctx context.Context, by access.Actor, in *I) (*O, error)) {
	huma.Register(s.api, o.operation(), func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, callOf(ctx).by, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
}

func (o op) operation() huma.Operation {
	if o.Status == 0 {
		o.Status = http.StatusOK
	}
	out := huma.Operation{
		OperationID: o.ID, Method: o.Method, Path: base + o.Path, Summary: o.Summary, Description: o.Notes, Tags: []string{o.Tag},
		DefaultStatus: o.Status, MaxBodyBytes: -1, BodyReadTimeout: -1, // bodied has read the body before
		Metadata: map[string]any{traitsKey: traits{public: o.Public, creates: o.Creates, uploads: o.Upload,
			reads: o.Method == http.MethodGet && o.Stream != eventStream && !o.Download}},
		Responses: map[string]*huma.Response{"default": {Description: "What went wrong", Content: map[string]*huma.MediaType{
			problemType: {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}}}},
	}
	for _, status := range o.Also {
		out.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status)}
	}
	if o.Stream != "" {
		out.Responses[strconv.Itoa(o.Status)] = &huma.Response{Description: http.StatusText(o.Status),
			Content: map[string]*huma.MediaType{o.Stream: {Schema: &huma.Schema{Type: "string"}}}}
	}
	if !o.Public {
		out.Security = []map[string][]string{{"bearer": {}}}
	}
	if o.Creates {
		one, most := 1, 255
		out.Parameters = append(out.Parameters, &huma.Param{Name: "Idempotency-Key", In: "header",
			Description: "The same key and body within 24 hours answer the first result again", Schema: &huma.Schema{Type: "string", MinLength: &one, MaxLength: &most}})
	}
	return out
}

// adapter puts operations on the router, each behind what its traits ask for.
type adapter struct {
	server *Server
	router chi.Router
}

// Handle implements huma.Adapter.
func (a adapter) Handle(o *huma.Operation, handle func(huma.Context)) {
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(humachi.NewContext(o, r, w))
	})
	t, _ := o.Metadata[traitsKey].(traits)
	a.router.Method(o.Method, o.Path, a.server.guard(t, h))
}

// ServeHTTP implements huma.Adapter.
func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.router.ServeHTTP(w, r) }

// guard puts an operation behind authentication, limits, the bound of bodies
// and idempotency, in this order.
func (s *Server) guard(t traits, h http.Handler) http.Handler {
	if t.creates {
		h = s.idempotent(h)
	}
	if t.reads {
		h = s.timed(h)
	}
	if !t.uploads {
		h = s.bodied(h)
	}
	if t.public {
		return s.anonymous(h)
	}
	return s.authenticated(h)
}

// stream documents an operation whose answer is written by a handler of its
// own, and puts that on the router behind the same guards.
func stream[I any](s *Server, o op, handle func(w http.ResponseWriter, r *http.Request, by access.Actor, in *I) error) {
	type streamed struct{ Body func(huma.Context) }
	register(s, o, func(ctx context.Context, by access.Actor, in *I) (*streamed, error) {
		return &streamed{Body: func(c huma.Context) {
			r, w := humachi.Unwrap(c)
			if err := handle(w, r, by, in); err != nil {
				s.fail(w, r, err)
			}
		}}, nil
	})
}

func (s *Server) newHuma() huma.API {
	bearer := &huma.SecurityScheme{Type: "http", Scheme: "bearer", Description: "An access token, or an API key"}
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: huma.DefaultJSONFormat.Unmarshal}
	schemas := huma.NewMapRegistry("#/components/schemas/", schemaName)
	schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	cfg := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Agent Studio", Version: s.cfg.Version,
				Description: "Build, run and watch workflows of AI agents. Failures are problems after RFC 9457; see /docs/problems."},
			Components: &huma.Components{Schemas: schemas, SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": bearer}},
			Tags:       tags(),
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{s.translate},
	}
	if s.cfg.PublicURL != "" {
		cfg.Servers = []*huma.Server{{URL: s.cfg.PublicURL}}
	}
	return huma.NewAPI(cfg, adapter{server: s, router: s.router})
}

// schemaName names a type in the document; those of other packages carry
// their package's name.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if room, found := strings.CutPrefix(t.PkgPath(), "agentstudio/internal/"); found && room != "api" {
		return strings.ReplaceAll(room, "/", ".") + "." + name
	}
	return name
}

func tags() []*huma.Tag {
	return []*huma.Tag{
		{Name: "auth", Description: "Signing in, devices and API keys"},
		{Name: "workspaces", Description: "Workspaces, their members, invitations and activity"},
		{Name: "workflows", Description: "Workflows, their versions and what is wrong with them"},
		{Name: "agents", Description: "Agents that workflows refer to"},
		{Name: "mcp", Description: "MCP servers and their tools"},
		{Name: "budgets", Description: "What may be spent on models"},
		{Name: "files", Description: "Files of workspaces"},
		{Name: "tools", Description: "Tools and models, used by hand"},
		{Name: "models", Description: "Agents and workflows, talked to as other people's models are"},
		{Name: "executions", Description: "Runs of workflows"},
		{Name: "realtime", Description: "What happens, as it happens"},
		{Name: "catalogue", Description: "What this studio can do"},
	}
}

// none is the input or output of operations without one.
type none struct{}

// wanted tells one fault of an input.
func wanted(location, message string) error {
	return fault.InvalidInput(fault.Detail{Location: location, Message: message})
}
