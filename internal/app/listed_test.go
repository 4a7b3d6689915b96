package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"agentstudio/internal/api"
	"agentstudio/internal/config"
)

func TestModelsAreListedWithWhatTheyCanDoAndCost(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "prices.json")
	if err := os.WriteFile(file, []byte(`{"read":"2026-02-03","models":{"anthropic/claude-sonnet-4-5":{"input":1.5,"output":7}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), config.Config{DataDir: dir, Signup: "open", EmailFrom: "Studio <studio@x.test>", AnthropicAPIKey: "k", DefaultAIModel: "anthropic/claude-sonnet-4-5", ModelPrices: file}, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	byID := map[string]api.Model{}
	for _, m := range a.listed() {
		byID[m.ID] = m
	}
	sonnet, demo := byID["anthropic/claude-sonnet-4-5"], byID["demo/scripted"]
	if !sonnet.Configured || !sonnet.Default || !sonnet.Tools || !sonnet.Vision || sonnet.ContextTokens == 0 || sonnet.MaxOutput == 0 {
		t.Errorf("listed %+v", sonnet)
	}
	if p := sonnet.Price; p == nil || *p.Input != 1.5 || *p.Output != 7 || p.CacheRead != nil || p.Read != "2026-02-03" {
		t.Errorf("its price is %+v, not the file's", p)
	}
	if !demo.Demo || demo.Default || demo.Price != nil {
		t.Errorf("listed %+v", demo)
	}
}
