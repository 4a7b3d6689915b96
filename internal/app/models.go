package app

import (
	"context"
	"fmt"
	"os"

	"agentstudio/internal/config"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/anthropic"
	"agentstudio/internal/llm/openai"
	"agentstudio/internal/llm/scripted"
	"agentstudio/internal/outbound"
	"agentstudio/internal/telemetry"
	"agentstudio/internal/usage"
)

// models makes the registry of the model providers that are configured, and the
// list of what their models cost.
func models(cfg config.Config, sink usage.Sink, gate llm.Gate, web *outbound.Client, tracer *telemetry.Tracer) (*llm.Registry, *llm.Prices, error) {
	var overrides [][]byte
	if cfg.ModelPrices != "" {
		text, err := os.ReadFile(cfg.ModelPrices)
		if err != nil {
			return nil, nil, fmt.Errorf("STUDIO_MODEL_PRICES: %w", err)
		}
		overrides = append(overrides, text)
	}
	prices, err := llm.DefaultPrices(overrides...)
	if err != nil {
		return nil, nil, fmt.Errorf("STUDIO_MODEL_PRICES: %w", err)
	}
	providers, err := providers(cfg)
	if err != nil {
		return nil, nil, err
	}
	decorate := func(p llm.Provider) llm.Model {
		p = paced{p, web}
		if tracer != nil {
			p = tracer.Provider(p)
		}
		return llm.Retry(llm.Meter(p, sink, prices, llm.MeterConfig{Gate: gate}), llm.RetryConfig{})
	}
	return llm.NewRegistry(llm.Config{Default: cfg.DefaultAIModel, Decorate: decorate}, providers...), prices, nil
}

// paced calls a provider in its turn: providers have their own HTTP clients.
type paced struct {
	llm.Provider
	web *outbound.Client
}

// Generate implements llm.Model.
func (p paced) Generate(ctx context.Context, req llm.Request, onPart func(llm.Part)) (*llm.Response, error) {
	if at, ok := p.Provider.(interface{ Address() string }); ok && p.Configured() {
		if err := p.web.Turn(ctx, at.Address(), ""); err != nil {
			return nil, err
		}
	}
	return p.Provider.Generate(ctx, req, onPart)
}

// providers lists the sources of models, the preferred first.
func providers(cfg config.Config) ([]llm.Provider, error) {
	out := []llm.Provider{
		anthropic.New(anthropic.Config{Key: cfg.AnthropicAPIKey.Reveal(), BaseURL: cfg.AnthropicBaseURL}),
		openai.New(openai.Config{Name: "openai", Key: cfg.OpenAIAPIKey.Reveal(), BaseURL: cfg.OpenAIBaseURL}),
		openai.New(openai.Config{Name: "gemini", Key: cfg.GeminiAPIKey.Reveal()}),
	}
	endpoints, err := cfg.Endpoints()
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{"anthropic": true, "openai": true, "gemini": true, "demo": true}
	for _, e := range endpoints {
		if taken[e.Name] {
			return nil, fmt.Errorf("STUDIO_MODEL_ENDPOINTS: the name %q is taken", e.Name)
		}
		taken[e.Name] = true
		out = append(out, openai.New(openai.Config{Name: e.Name, BaseURL: e.URL, Key: e.Key.Reveal()}))
	}
	return append(out, scripted.Provider{}), nil
}

// agentModels finds models for agents.
type agentModels struct{ registry *llm.Registry }

// Model implements agent.Models.
func (m agentModels) Model(names []string) (llm.Model, error) { return m.registry.Resolve(names...) }

// blind returns those of the models that are known to read texts only.
func (m agentModels) blind(names []string) []string {
	chain, err := m.registry.Resolve(names...)
	if err != nil {
		return nil
	}
	return chain.Blind()
}

// ContextTokens implements agent.Models.
func (m agentModels) ContextTokens(names []string) int {
	chain, err := m.registry.Resolve(names...)
	if err != nil {
		return 0
	}
	return chain.ContextTokens()
}
