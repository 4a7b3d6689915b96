package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/file"
	"agentstudio/internal/llm"
	"agentstudio/internal/llm/llmtest"
)

// What a PNG and a PDF begin with, by which their types are found.
const (
	png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	pdf = "%PDF-1.4\n"
)

func TestFilesReachModelsOfBothProtocols(t *testing.T) {
	for name, stand := range servers() {
		t.Run(name, func(t *testing.T) {
			cfg := settings(t.TempDir())
			model, journal := stand(t, &cfg, llmtest.Reply{Text: []string{"seen"}, Usage: llm.Usage{Input: 10, Output: 2}})
			studio, by, _ := open(t, cfg)
			var ids []string
			for path, content := range map[string]string{"cat.txt": png, "bill.bin": pdf} { // names say nothing
				f, err := studio.Files.Upload(t.Context(), by, file.Upload{WorkspaceID: by.Personal, Path: path, Content: strings.NewReader(content)})
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, f.ID)
			}
			d, err := studio.Codec.Decode([]byte(strings.Replace(strings.ReplaceAll(askAgent, "MODEL", model), "tools: [calculator]", `files: ["{{ trigger.first }}", "`+ids[1]+`"]`, 1)))
			if err != nil {
				t.Fatal(err)
			}
			x, err := studio.RunOnce(t.Context(), by, d, json.RawMessage(`{"first":"`+ids[0]+`"}`), false, func(event.Event) {})
			if err != nil || x.Status != execution.Completed {
				t.Fatalf("%+v, %v", x, err)
			}
			body, err := json.Marshal(journal.Requests()[0].Body)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string][]string{
				"anthropic": {`"data":"iVBORw0KGgoAAAANSUhEUg==","media_type":"image/png","type":"base64"`, `"data":"JVBERi0xLjQK","media_type":"application/pdf","type":"base64"`, `"type":"document"`},
				"openai":    {`"url":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="`, `"file_data":"data:application/pdf;base64,JVBERi0xLjQK"`, `"type":"file"`},
			}[name]
			for _, part := range want {
				if !strings.Contains(string(body), part) {
					t.Errorf("nothing of %s in %s", part, body)
				}
			}
		})
	}
}
