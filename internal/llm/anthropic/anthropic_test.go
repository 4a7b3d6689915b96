package anthropic_test

import (
	"testing"

	"agentstudio/internal/llm"
	"agentstudio/internal/llm/anthropic"
	"agentstudio/internal/llm/llmtest"
)

func stand(t testing.TB, replies ...llmtest.Reply) (llm.Provider, *llmtest.Journal) {
	t.Helper()
	url, j := llmtest.Anthropic(t, replies...)
	return anthropic.New(anthropic.Config{Key: "test-key", BaseURL: url}), j
}

func TestProviderKeepsTheContract(t *testing.T) {
	for _, model := range []string{"claude-sonnet-5-5", "claude-haiku-4-5-20251001"} {
		t.Run(model, func(t *testing.T) {
			llmtest.Conform(t, stand, llmtest.Options{Model: model, Thinking: true, CacheWrites: true})
		})
	}
}
