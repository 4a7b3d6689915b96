// Package anthropic is the model provider "anthropic": Claude, by the Messages
// API and its official SDK.
package anthropic

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

const (
	name    = "anthropic"
	title   = "Anthropic" // in sentences for people
	keyName = "ANTHROPIC_API_KEY"
)

// Config says how the API is reached. Only Key is required.
type Config struct {
	Key     string
	BaseURL string // of a gateway, without "/v1"; empty: the public API
	// Idle is how long the API may send nothing, not even a ping, before a
	// call is given up; 2 minutes when 0.
	Idle time.Duration
	// HTTPClient makes the calls; nil: one of its own, which follows no
	// redirects, because those would carry the key to another host.
	HTTPClient *http.Client
}

// Provider is the provider "anthropic". It is safe for concurrent use.
type Provider struct {
	key      string
	address  string
	idle     time.Duration
	messages sdk.MessageService
}

var _ llm.Provider = (*Provider)(nil)

// New returns the provider. Nothing is called before the first Generate, and
// nothing is read from the environment.
func New(cfg Config) *Provider {
	if cfg.Idle <= 0 {
		cfg.Idle = 2 * time.Minute
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	options := []option.RequestOption{option.WithEnvironmentProduction(), option.WithHTTPClient(cfg.HTTPClient),
		option.WithAPIKey(cfg.Key), option.WithMaxRetries(0), option.WithoutOpenTelemetry()}
	if cfg.BaseURL != "" {
		options = append(options, option.WithBaseURL(cfg.BaseURL))
	}
	return &Provider{key: cfg.Key, address: cmp.Or(cfg.BaseURL, "https://api.anthropic.com"), idle: cfg.Idle, messages: sdk.NewMessageService(options...)}
}

// Name implements llm.Provider.
func (p *Provider) Name() string { return name }

// Address returns where the API is.
func (p *Provider) Address() string { return p.address }

// Configured implements llm.Provider: there is a key.
func (p *Provider) Configured() bool { return p.key != "" }

// Models implements llm.Provider.
func (p *Provider) Models() []llm.ModelInfo { return models() }

// Generate implements llm.Model.
func (p *Provider) Generate(ctx context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	if !p.Configured() {
		return nil, fault.New(fault.NotConfigured, "%s is not set up: set %s", title, keyName)
	}
	params, err := request(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := newWatchdog(p.idle, func() { cancel(llm.ErrIdle) })
	defer watch.stop()
	stream := p.messages.NewStreaming(ctx, params, option.WithMiddleware(watch.middleware))
	defer func() { _ = stream.Close() }() // whatever was to be read has been
	begun := stream.Err() == nil
	a := answer{onPart: onPart}
	for !a.done && stream.Next() {
		if err := a.take(stream.Current()); err != nil {
			return nil, a.counted(err)
		}
	}
	if a.done || stream.Err() == nil && a.stop != "" {
		return a.response(name + "/" + req.Model), nil
	}
	if err := stream.Err(); err != nil {
		return nil, a.counted(failure(ctx, begun, err))
	}
	if !a.begun && !watch.streamed() {
		return nil, fault.New(fault.Upstream, "%s sent an answer that cannot be read", title).WithCode(llm.BadResponse)
	}
	return nil, a.counted(llm.Broken(ctx, title, begun, io.ErrUnexpectedEOF))
}

// failure returns the fault for an error of the SDK.
func failure(ctx context.Context, begun bool, err error) *fault.Error {
	var rejected *sdk.Error
	if !errors.As(err, &rejected) {
		return llm.Broken(ctx, title, begun, err)
	}
	var body struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal([]byte(rejected.RawJSON()), &body) // a gateway's page is no JSON: then there is no sentence
	r := llm.Rejection{Provider: title, Status: rejected.StatusCode, Type: string(rejected.Type()), Message: body.Error.Message, KeyName: keyName}
	if rejected.Response != nil {
		r.RetryAfter = rejected.Response.Header.Get("Retry-After")
	}
	return r.Fault(err)
}

// watchdog barks when the server is waited for too long. Time that goes by
// while nobody reads does not count.
type watchdog struct {
	idle        time.Duration
	timer       *time.Timer
	contentType string
}

func newWatchdog(idle time.Duration, bark func()) *watchdog {
	w := &watchdog{idle: idle, timer: time.AfterFunc(idle, bark)}
	w.timer.Stop()
	return w
}

func (w *watchdog) stop() { w.timer.Stop() }

// streamed reports whether the server said that it sends events.
func (w *watchdog) streamed() bool {
	kind, _, err := mime.ParseMediaType(w.contentType)
	return err == nil && kind == "text/event-stream"
}

// middleware watches one call: until the answer begins, then each read of it.
// The body is watched below the SDK, which keeps pings to itself.
func (w *watchdog) middleware(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	w.timer.Reset(w.idle)
	defer w.timer.Stop()
	response, err := next(r)
	if response != nil && response.Body != nil {
		w.contentType = response.Header.Get("Content-Type")
		response.Body = &watchedBody{ReadCloser: response.Body, watch: w}
	}
	return response, err
}

type watchedBody struct {
	io.ReadCloser
	watch *watchdog
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.timer.Reset(b.watch.idle)
	defer b.watch.timer.Stop()
	return b.ReadCloser.Read(p)
}
