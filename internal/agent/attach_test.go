package agent_test

import (
	"context"
	"strings"
	"testing"

	"agentstudio/internal/agent"
	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/node"
	"agentstudio/internal/node/nodetest"
)

// folder is the files of the workspace "w", by id: their type and content.
type folder map[string][2]string

func (f folder) About(_ context.Context, workspaceID, id string) (string, string, int64, error) {
	file, known := f[id]
	if !known || workspaceID != "w" {
		return "", "", 0, fault.New(fault.NotFound, "there is no such file")
	}
	return id, file[0], int64(len(file[1])), nil
}

func (f folder) Content(_ context.Context, _, id string) ([]byte, error) {
	file, known := f[id]
	if !known {
		return nil, fault.New(fault.NotFound, "there is no such file")
	}
	return []byte(file[1]), nil
}

func show(t *testing.T, w *world, host *nodetest.Host, files folder, blind []string, s agent.Settings, ids ...string) (*agent.Output, error) {
	t.Helper()
	runner := agent.NewRunner(w, w.tools(), agent.RunnerConfig{Saved: w, Files: files, Blind: func([]string) []string { return blind }})
	call := node.Call{Host: host, ExecutionID: "e", NodeID: "n", Key: "e/n/", WorkspaceID: "w"}
	return runner.Run(t.Context(), call, s, agent.Showing(ids, "look"))
}

func TestAModelIsShownFilesOfTheWorkspace(t *testing.T) {
	files := folder{"cat": {"image/png", "PNG"}, "bill": {"application/pdf", "PDF"}, "notes": {"text/plain; charset=utf-8", "words"}}
	w, host := &world{}, nodetest.New(nil)
	settings := agent.Settings{Tools: []string{"note"}, Script: script(t, calls("note"), says("seen"))}
	out, err := show(t, w, host, files, nil, settings, "cat", "bill", "notes", "cat")
	if err != nil || out.Text != "seen" || len(w.asked) != 2 {
		t.Fatalf("got %+v, %v", out, err)
	}
	for _, req := range w.asked {
		var got []string
		for _, b := range req.Messages[0].Content {
			got = append(got, string(b.Type)+" "+b.MediaType+" "+string(b.Data)+b.Text)
		}
		if want := "image image/png PNG|document application/pdf PDF|document text/plain words|image image/png PNG|text  look"; strings.Join(got, "|") != want {
			t.Errorf("shown %q", got)
		}
	}
	// The record names files; their contents stay where they are.
	for name, text := range host.Recorded {
		if strings.Contains(string(text), "UERG") { // PDF in base64
			t.Errorf("the step %s holds a content: %s", name, text)
		}
	}
	for _, step := range host.Steps() {
		if in, ok := step.Input.(map[string]any); ok && step.Name == "turn-1" {
			if said := in["messages"].([]llm.Message)[0].Content[0]; said.FileID != "cat" || said.Data != nil {
				t.Errorf("the trace of the first turn has %+v", said)
			}
		}
	}
	// What was found stays found; what is read anew may be gone.
	delete(files, "bill")
	if out, err := show(t, &world{}, host.Next(), files, nil, settings, "cat", "bill", "notes", "cat"); err != nil || out.Text != "seen" {
		t.Errorf("a run that was over: %+v, %v", out, err)
	}
	_, err = show(t, &world{}, host.Next("files"), files, nil, settings, "cat", "bill", "notes", "cat")
	wantCode(t, err, "bad_file", "bill was deleted")
}

func TestWhatAModelCannotBeShownIsRefusedBeforeItIsAsked(t *testing.T) {
	files := folder{"song": {"audio/mpeg", "x"}, "none": {"text/plain", ""}, "huge": {"image/jpeg", strings.Repeat("x", 5<<20+1)}, "cat": {"image/png", "PNG"}, "notes": {"text/csv", "a,b"}}
	for i := range 21 {
		files["f"+strings.Repeat("i", i)] = [2]string{"text/plain", "x"}
	}
	settings := agent.Settings{Script: script(t, says("seen"))}
	w := &world{}
	_, err := show(t, w, nodetest.New(nil), files, nil, settings, "song", "gone", "huge", "none", "cat")
	for _, want := range []string{"song is of the type audio/mpeg", "there is no file gone", "huge has 5242881 bytes", "none is empty"} {
		wantCode(t, err, "bad_file", want)
	}
	var many []string
	for id := range files {
		if strings.HasPrefix(id, "f") {
			many = append(many, id)
		}
	}
	_, err = show(t, w, nodetest.New(nil), files, nil, settings, many...)
	wantCode(t, err, "too_many_files", "at most 20")
	_, err = show(t, w, nodetest.New(nil), files, []string{"x/blind"}, settings, "cat")
	wantCode(t, err, "no_vision", "x/blind reads texts only")
	if len(w.asked) != 0 {
		t.Errorf("the model was asked %d times", len(w.asked))
	}
	if out, err := show(t, w, nodetest.New(nil), files, []string{"x/blind"}, settings, "notes"); err != nil || out.Text != "seen" {
		t.Errorf("a text needs no eyes: %+v, %v", out, err)
	}
	_, err = (&world{}).run(t, nodetest.New(nil), agent.Settings{Script: script(t, says("x"))})
	if err != nil {
		t.Errorf("without files: %v", err)
	}
}
