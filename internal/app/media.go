package app

import (
	"context"
	"fmt"
	"os"

	"agentstudio/internal/config"
	"agentstudio/internal/llm"
	"agentstudio/internal/media"
	"agentstudio/internal/outbound"
	"agentstudio/internal/usage"
)

// mediaService makes the service of images and speech over the providers that
// are configured, the preferred first.
func mediaService(cfg config.Config, sink usage.Sink, gate llm.Gate, web *outbound.Client) (*media.Service, error) {
	var overrides [][]byte
	if cfg.ModelPrices != "" {
		text, err := os.ReadFile(cfg.ModelPrices)
		if err != nil {
			return nil, fmt.Errorf("STUDIO_MODEL_PRICES: %w", err)
		}
		overrides = append(overrides, text)
	}
	prices, err := media.DefaultPrices(overrides...)
	if err != nil {
		return nil, fmt.Errorf("STUDIO_MODEL_PRICES: %w", err)
	}
	providers := []media.Provider{
		media.NewOpenAI(media.OpenAIConfig{Key: cfg.OpenAIAPIKey.Reveal(), BaseURL: cfg.OpenAIBaseURL}),
		media.NewGemini(media.GeminiConfig{Key: cfg.GeminiAPIKey.Reveal(), BaseURL: cfg.GeminiBaseURL}),
		media.NewStability(media.StabilityConfig{Key: cfg.StabilityAPIKey.Reveal(), BaseURL: cfg.StabilityBaseURL}),
	}
	endpoints, err := cfg.Endpoints()
	if err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		if e.Name == "stability" {
			return nil, fmt.Errorf("STUDIO_MODEL_ENDPOINTS: the name %q is taken", e.Name)
		}
		providers = append(providers, media.NewOpenAI(media.OpenAIConfig{Name: e.Name, BaseURL: e.URL, Key: e.Key.Reveal()}))
	}
	return media.New(media.Config{
		Usual:  map[media.Kind]string{media.Image: cfg.ImageModel, media.Speech: cfg.SpeechModel, media.Transcription: cfg.TranscribeModel},
		Ledger: sink, Gate: gate, Prices: prices,
		Turn: func(ctx context.Context, address string) error { return web.Turn(ctx, address, "") },
	}, append(providers, media.Demo{})...), nil
}
