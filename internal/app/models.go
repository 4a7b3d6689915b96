package app

import (
	"fmt"
	"os"

	"agentstudio/internal/config"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/scripted"
	"agentstudio/internal/usage"
)

// models makes the registry of the model providers that are configured.
func models(cfg config.Config, sink usage.Sink) (*llm.Registry, error) {
	var overrides [][]byte
	if cfg.ModelPrices != "" {
		text, err := os.ReadFile(cfg.ModelPrices)
		if err != nil {
			return nil, fmt.Errorf("STUDIO_MODEL_PRICES: %w", err)
		}
		overrides = append(overrides, text)
	}
	prices, err := llm.DefaultPrices(overrides...)
	if err != nil {
		return nil, fmt.Errorf("STUDIO_MODEL_PRICES: %w", err)
	}
	providers := []llm.Provider{scripted.Provider{}}
	decorate := func(p llm.Provider) llm.Model { return llm.Retry(llm.Meter(p, sink, prices, nil), llm.RetryConfig{}) }
	return llm.NewRegistry(llm.Config{Default: cfg.DefaultAIModel, Decorate: decorate}, providers...), nil
}

// agentModels finds models for agents.
type agentModels struct{ registry *llm.Registry }

// Model implements agent.Models.
func (m agentModels) Model(names []string) (llm.Model, error) { return m.registry.Resolve(names...) }

// ContextTokens implements agent.Models.
func (m agentModels) ContextTokens(names []string) int {
	chain, err := m.registry.Resolve(names...)
	if err != nil {
		return 0
	}
	return chain.ContextTokens()
}
