// Package api is the studio's HTTP and WebSocket face: it decodes and checks a
// request, finds out who is asking, calls one use case and shows what came of
// it. It holds no SQL, no rules of the nouns and no branching on roles.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"

	"agentstudio/internal/account"
	"agentstudio/internal/agent"
	"agentstudio/internal/chat"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/file"
	"agentstudio/internal/limit"
	"agentstudio/internal/mcp"
	"agentstudio/internal/node"
	"agentstudio/internal/toolbox"
	"agentstudio/internal/usage"
	"agentstudio/internal/workflow"
	"agentstudio/internal/workspace"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"
)

// Bus lets sockets and streams hear of what is committed, and those of other
// replicas of sessions that end.
type Bus interface {
	Publish(ctx context.Context, events ...event.Event)
	Subscribe(rooms ...string) event.Subscription
	// SubscribeFunc is Subscribe for a listener that does not wait at the
	// subscription's C: woken, which only takes note, is called when something is in it.
	SubscribeFunc(woken func(), rooms ...string) event.Subscription
}

// Idempotency keeps the first answers to requests that carried a key.
type Idempotency interface {
	// Begin claims a key until lease, or returns the answer kept for it (status
	// 0: there was none, and the caller now holds the key). Conflict: somebody
	// else holds it. Invalid: the key was used for another request.
	Begin(ctx context.Context, actor, key, requestHash string, now, lease time.Time) (status int, headers string, body []byte, err error)
	// Finish keeps the answer until the time given.
	Finish(ctx context.Context, actor, key string, status int, headers string, body []byte, until time.Time) error
	// Forget gives the key back: the request had no lasting result.
	Forget(ctx context.Context, actor, key string) error
}

// Model is a language model that workflows may name.
type Model struct {
	ID         string `json:"id" doc:"What workflows call it"`
	Provider   string `json:"provider"`
	Title      string `json:"title"`
	Configured bool   `json:"configured" doc:"Whether its provider has been set up here"`
	Default    bool   `json:"default" doc:"What the name default means here"`
	Demo       bool   `json:"demo" doc:"Answers offline from a script; no model is asked"`
	// What it can do, as far as that is known.
	ContextTokens int  `json:"context_tokens" doc:"0: not known"`
	MaxOutput     int  `json:"max_output_tokens" doc:"0: not known"`
	Vision        bool `json:"vision" doc:"Reads images"`
	Tools         bool `json:"tools" doc:"Calls tools"`
	// Price is null when it is not known.
	Price *ModelPrice `json:"price"`
}

// ModelPrice is what a model costs, in dollars per million tokens.
type ModelPrice struct {
	_          struct{} `nullable:"true"`
	Input      *float64 `json:"input" doc:"null: not known"`
	Output     *float64 `json:"output" doc:"null: not known"`
	CacheRead  *float64 `json:"cache_read" doc:"null: not known"`
	CacheWrite *float64 `json:"cache_write" doc:"null: not known"`
	Read       string   `json:"read" doc:"The date the price list was read"`
}

// Services are the use cases behind the API. OpenAPI works without any.
type Services struct {
	Accounts   *account.Service
	Workspaces *workspace.Service
	Workflows  *workflow.Service
	Agents     *agent.Service
	MCPServers *mcp.Service
	// MCP answers at /mcp; nil: nobody does.
	MCP         MCP
	Budgets     *usage.Service
	Executions  *execution.Service
	Files       *file.Service
	Chat        *chat.Service
	Toolbox     *toolbox.Service
	Kinds       *node.Kinds
	Codec       *workflow.Codec
	Bus         Bus
	Idempotency Idempotency
	// Ready returns why the studio cannot serve just now, or nil.
	Ready func(context.Context) error
	// WebhookSecret returns the secret that a credential of a workspace holds.
	// NotFound: there is none of the name.
	WebhookSecret func(ctx context.Context, workspaceID, credential string) ([]byte, error)
	// FileLinks signs links to files; may be nil.
	FileLinks *file.Links
	// Links reads the links of letters to approvers; may be nil.
	Links *execution.Links
	// Models lists the models that can be named; may be nil.
	Models func() []Model
	// Metrics answers who may read the metrics; nil: there are none.
	Metrics http.Handler
	// Observer counts requests and sockets; nil: nobody does.
	Observer Observer
	// Limiter counts requests; nil counts in this process only.
	Limiter Limiter
	// Studio is the web studio; its zero value shows none.
	Studio Studio
}

// Config adjusts a Server. Its zero value serves, without rate limits.
type Config struct {
	Version        string
	PublicURL      string         // what links begin with; empty: taken from each request
	AllowedOrigins []string       // other origins whose pages may call the API
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	MaxBody        int64          // of a request, in bytes; 10 MiB
	Limits         Limits
	SecureCookies  bool // cookies travel over TLS only
	Now            func() time.Time
	NewID          func() string
	Log            *slog.Logger
	// Heartbeat is how often idle streams and sockets are kept alive; 30 s.
	Heartbeat time.Duration
	// SlowClient is how long a socket may take to accept a frame, or to answer a
	// ping; 10 s.
	SlowClient time.Duration
	// BodyTime is how long a caller may take to send a body; 60 s.
	BodyTime time.Duration
	// ReadTime is how long finding out who calls may take, and how long an answer
	// that only reads, unless it is a stream; 30 s. A database that has stopped
	// answering with its connections open would hold requests for ever.
	ReadTime time.Duration
	// HookTimeout bounds webhook calls that wait for their execution; 60 s.
	HookTimeout time.Duration
}

func (c *Config) fill() {
	if c.MaxBody <= 0 {
		c.MaxBody = 10 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = 30 * time.Second
	}
	if c.SlowClient <= 0 {
		c.SlowClient = 10 * time.Second
	}
	if c.BodyTime <= 0 {
		c.BodyTime = time.Minute
	}
	if c.ReadTime <= 0 {
		c.ReadTime = 30 * time.Second
	}
	if c.HookTimeout <= 0 {
		c.HookTimeout = time.Minute
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
}

// Server answers every HTTP request of the studio. It is safe for concurrent use.
type Server struct {
	Services
	cfg      Config
	limiter  Limiter
	router   *chi.Mux
	api      huma.API
	handler  http.Handler
	document func() (*document, error)

	mu       sync.Mutex // guards closed and adding to live
	closed   bool
	live     sync.WaitGroup // streams and sockets
	frames   frames
	crew     crew
	stopping <-chan struct{}
	stop     context.CancelFunc                  // closes stopping
	onStop   func(f func()) (forget func() bool) // f runs when stopping is closed
}

// New returns the server. It panics when an operation is declared wrongly: a
// programmer's error.
func New(services Services, cfg Config) *Server {
	cfg.fill()
	s := &Server{Services: services, cfg: cfg, router: chi.NewMux()}
	ctx, stop := context.WithCancel(context.Background())
	s.stopping, s.stop = ctx.Done(), stop
	s.crew = crew{live: &s.live, most: runtime.GOMAXPROCS(0)}
	s.onStop = func(f func()) func() bool { return context.AfterFunc(ctx, f) }
	if s.Codec == nil {
		s.Codec = workflow.NewCodec()
	}
	if s.Kinds == nil {
		s.Kinds = node.NewKinds()
	}
	if s.limiter = services.Limiter; s.limiter == nil {
		s.limiter = limit.NewLocal(cfg.Now)
	}
	s.document = sync.OnceValues(s.describe)
	s.router.Use(noteRoute, middleware.GetHead) // inside: it asks the router
	s.router.NotFound(s.notFound)
	s.router.MethodNotAllowed(s.methodNotAllowed)
	s.api = s.newHuma()
	s.routes()
	s.handler = s.outer(s.router)
	return s
}

// routes declares everything the server answers, noun by noun.
func (s *Server) routes() {
	s.systemRoutes()
	s.authRoutes()
	s.apiKeyRoutes()
	s.workspaceRoutes()
	s.memberRoutes()
	s.invitationRoutes()
	s.activityRoutes()
	s.workflowRoutes()
	s.versionRoutes()
	s.scheduleRoutes()
	s.agentRoutes()
	s.agentTrialRoutes()
	s.budgetRoutes()
	s.fileRoutes()
	s.toolRoutes()
	s.mcpServerRoutes()
	s.catalogueRoutes()
	s.executionRoutes()
	s.approvalRoutes()
	s.streamRoutes()
	s.socketRoutes()
	s.hookRoutes()
	s.callbackRoutes()
	s.approvalLinkRoutes()
	s.mcpRoutes()
	s.modelRoutes()
	s.studioRoutes()
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Run returns when ctx has ended and every stream and socket has been told so
// and is gone; see Close.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	return s.Close()
}

// Close ends streams and sockets, with a close frame, and waits until they are
// gone. New ones are refused from then on; other requests are still answered.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.stop()
	}
	s.mu.Unlock()
	s.live.Wait()
	return nil
}

// isStopping reports whether streams and sockets are to end.
func (s *Server) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// enter registers a stream or socket; false when the server is closing. The
// caller calls s.live.Done when it has ended.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.live.Add(1)
	return true
}
