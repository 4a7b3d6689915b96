// Package openai asks models over the Chat Completions protocol: OpenAI's own,
// Google Gemini's through its compatible endpoint, and those of every server
// that speaks it (Ollama, llama.cpp, vLLM, LM Studio, OpenRouter, gateways).
package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

// DefaultIdle is how long a server may send nothing before it is given up.
const DefaultIdle = 2 * time.Minute

// Config describes one endpoint.
type Config struct {
	Name    string // the part of a model's name before the slash; "" means "openai"
	BaseURL string // up to and with "/v1"; "" means Gemini's for "gemini", else OpenAI's
	Key     string // "" sends none
	KeyName string // what an operator sets to give the key; "" means NAME_API_KEY
	// Models are those the endpoint is known to have. nil means those of
	// DefaultModels where BaseURL is the provider's own, else none.
	Models []llm.ModelInfo
	Idle   time.Duration // 0 means DefaultIdle
	// HTTPClient makes the requests; nil means one of the provider's own. Its
	// Timeout would end long answers and is best left 0.
	HTTPClient *http.Client
}

// Provider is one endpoint. It is safe for concurrent use.
type Provider struct {
	cfg        Config
	service    sdk.ChatCompletionService
	dialect    dialect
	configured bool
	unusable   error // why the base URL cannot be used
}

var _ llm.Provider = (*Provider)(nil)

// New returns the provider of an endpoint. A base URL that cannot be used is
// reported by Generate.
func New(cfg Config) *Provider {
	cfg.Name = cmp.Or(cfg.Name, "openai")
	cfg.KeyName = cmp.Or(cfg.KeyName, strings.ToUpper(strings.ReplaceAll(cfg.Name, "-", "_"))+"_API_KEY")
	cfg.Idle = cmp.Or(cfg.Idle, DefaultIdle)
	own := cfg.BaseURL == ""
	if own {
		cfg.BaseURL = home(cfg.Name)
		if cfg.Models == nil {
			cfg.Models = DefaultModels(cfg.Name)
		}
	}
	p := &Provider{cfg: cfg, configured: cfg.Key != "" || !own}
	u, err := url.Parse(cfg.BaseURL)
	switch {
	case err != nil:
		p.unusable = err
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		p.unusable = fault.New(fault.NotConfigured, "no web address")
	default:
		p.dialect = dialectOf(u.Hostname())
	}
	client := cfg.HTTPClient
	if client == nil {
		client = newClient()
	}
	options := []option.RequestOption{option.WithBaseURL(cfg.BaseURL), option.WithHTTPClient(client), option.WithMaxRetries(0)}
	if cfg.Key != "" {
		options = append(options, option.WithAPIKey(cfg.Key))
	}
	p.service = sdk.NewChatCompletionService(options...)
	return p
}

// newClient returns a client that keeps as many connections to one server as
// agents run side by side.
func newClient() *http.Client {
	const kept = 64
	if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		transport := standard.Clone()
		transport.MaxIdleConnsPerHost = kept
		return &http.Client{Transport: transport}
	}
	return &http.Client{}
}

// Name implements llm.Provider.
func (p *Provider) Name() string { return p.cfg.Name }

// Address returns where the endpoint is.
func (p *Provider) Address() string { return p.cfg.BaseURL }

// Configured implements llm.Provider: there is a key, or a base URL was given
// (local servers need no key).
func (p *Provider) Configured() bool { return p.configured }

// Models implements llm.Provider.
func (p *Provider) Models() []llm.ModelInfo { return append([]llm.ModelInfo(nil), p.cfg.Models...) }

// Generate implements llm.Model. An answer whose end has come is returned even
// when the connection breaks before its usage does.
func (p *Provider) Generate(ctx context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	if p.unusable != nil {
		return nil, fault.Wrap(fault.NotConfigured, p.unusable, "the base URL of %s is not one: give one like http://localhost:11434/v1", p.cfg.Name)
	}
	if !p.configured {
		return nil, fault.New(fault.NotConfigured, "%s is not set up here: set %s", p.cfg.Name, p.cfg.KeyName)
	}
	params, err := p.dialect.request(req)
	if err != nil {
		return nil, err
	}
	if onPart == nil {
		onPart = func(llm.Part) {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := newWatch(p.cfg.Idle, func() { cancel(llm.ErrIdle) })
	defer w.stop()

	response, err := p.open(ctx, params, w)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	a := &answer{turn: len(req.Messages), onPart: onPart}
	if err := p.read(ctx, response, a); err != nil {
		if a.usage == nil {
			return nil, err
		}
		return nil, llm.Counted(err, *a.usage)
	}
	w.drain()
	return a.response(p.cfg.Name + "/" + req.Model), nil
}

// open sends the request and returns the answer's beginning.
func (p *Provider) open(ctx context.Context, params sdk.ChatCompletionNewParams, w *watch) (*http.Response, error) {
	var response *http.Response
	_, err := p.service.New(ctx, params,
		option.WithJSONSet("stream", true),
		option.WithHeader("Accept", "text/event-stream"),
		option.WithMiddleware(w.middleware),
		option.WithResponseBodyInto(&response))
	if response != nil && response.StatusCode >= http.StatusBadRequest && context.Cause(ctx) == nil {
		return nil, p.rejected(response, err)
	}
	if err != nil {
		return nil, llm.Broken(ctx, p.cfg.Name, false, err)
	}
	return response, nil
}

// parsed returns the JSON object of a tool's or an answer's schema.
func parsed(schema json.RawMessage) (map[string]any, error) {
	var m map[string]any
	err := json.Unmarshal(schema, &m)
	return m, err
}
