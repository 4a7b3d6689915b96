package builtin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"strings"

	"agentstudio/internal/llm"
	"agentstudio/internal/media"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

// Media makes pictures and speech, and hears. What it makes is metered there.
type Media interface {
	Make(ctx context.Context, by llm.Caller, r media.Request) (*media.Made, error)
}

// caller is who a call of a tool is for.
func caller(c tool.Call) llm.Caller {
	return llm.Caller{UserID: c.UserID, WorkspaceID: c.WorkspaceID, WorkflowID: c.WorkflowID, ExecutionID: c.ExecutionID, NodeID: c.NodeID, Agent: c.AgentID, Above: c.Above, APIKeyID: c.APIKeyID}
}

// made is what every tool of media answers with.
type made struct {
	Model   string   `json:"model"`
	Demo    bool     `json:"demo,omitempty"`
	CostUSD *float64 `json:"cost_usd"` // null: not known
	Missing string   `json:"missing,omitempty"`
}

func madeBy(m *media.Made) made {
	out := made{Model: m.Model, Demo: m.Demo, Missing: m.Missing}
	if m.CostMicros != nil {
		usd := float64(*m.CostMicros) / 1e6
		out.CostUSD = &usd
	}
	return out
}

// spent is the result of a tool whose calls stand in the ledger.
func spent(m *media.Made, text string, value any) tool.Result {
	u := node.Usage{Model: m.Model, Input: m.Units.Input, Output: m.Units.Output, CostUnknown: m.CostMicros == nil}
	if m.CostMicros != nil {
		u.CostMicros = *m.CostMicros
	}
	if m.Demo {
		text += " (By the offline demo.)"
	}
	return tool.Result{Text: text, Value: value, Usage: u, Entered: true}
}

// stored is a file that was made.
type stored struct {
	FileID      string `json:"file_id"`
	Path        string `json:"path"`
	ContentType string `json:"content_type"`
	Size        int64  `json:"size"`
	Width       int    `json:"width,omitempty"`
	Height      int    `json:"height,omitempty"`
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// store keeps a piece under a name made of what it is about and of what is in
// it: keeping it again keeps one file.
func store(ctx context.Context, files Files, call tool.Call, folder, about string, p media.Piece) (stored, error) {
	const longest, digits = 40, 4
	slug := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(about[:min(len(about), 4*longest)]), "-"), "-")
	sum := sha256.Sum256(p.Content)
	name := strings.Trim(slug[:min(len(slug), longest)]+"-"+hex.EncodeToString(sum[:digits]), "-") + "." + p.Format
	kept, err := files.Write(ctx, maker(call), path.Join(folder, name), p.Content)
	if err != nil {
		return stored{}, err
	}
	return stored{FileID: kept.ID, Path: kept.Path, ContentType: kept.ContentType, Size: kept.Size, Width: p.Width, Height: p.Height}, nil
}

type imageArgs struct {
	Prompt       string `json:"prompt" jsonschema:"required,minLength=1,maxLength=32000" jsonschema_description:"What the picture shows."`
	Model        string `json:"model,omitempty" jsonschema:"maxLength=200" jsonschema_description:"provider/name; the usual one when left out."`
	N            int    `json:"n,omitempty" jsonschema:"minimum=1,maximum=4" jsonschema_description:"How many; one when left out."`
	AspectRatio  string `json:"aspect_ratio,omitempty" jsonschema:"enum=1:1,enum=16:9,enum=9:16,enum=4:3,enum=3:4,enum=3:2,enum=2:3" jsonschema_description:"Width to height; the nearest shape that the model can make."`
	OutputFormat string `json:"output_format,omitempty" jsonschema:"enum=png,enum=jpeg,enum=webp"`
	Folder       string `json:"folder,omitempty" jsonschema:"maxLength=256" jsonschema_description:"Of the workspace's files; images when left out."`
}

func imageGenerate(m Media, files Files) tool.Tool {
	t := tool.Define(tool.Spec{Name: "image_generate", Title: "Generate images", Category: "ai", Risk: node.RiskMedium, Effect: true, Limit: perHour(100),
		Restrictions: []string{fmt.Sprintf("%d pictures at a time at most.", media.MaxImages), withinBudgets},
		Description:  "Makes pictures from a description, and stores them as files of the workspace."},
		func(ctx context.Context, call tool.Call, a imageArgs) (tool.Result, error) {
			got, err := m.Make(ctx, caller(call), media.Request{Kind: media.Image, Model: a.Model, Key: call.Key, Prompt: a.Prompt, N: a.N, AspectRatio: a.AspectRatio, Format: a.OutputFormat})
			if err != nil {
				return tool.Result{}, err
			}
			images := []stored{}
			var paths []string
			for _, p := range got.Pieces {
				kept, err := store(ctx, files, call, cmp.Or(a.Folder, "images"), a.Prompt, p)
				if err != nil {
					return spent(got, "", nil), err
				}
				images, paths = append(images, kept), append(paths, kept.Path)
			}
			text := fmt.Sprintf("Made %s with %s.", strings.Join(paths, ", "), got.Model)
			if got.Missing != "" {
				text += " " + got.Missing + "."
			}
			return spent(got, text, struct {
				Images []stored `json:"images"`
				made
			}{images, madeBy(got)}), nil
		})
	return needs(t, m != nil && files != nil, "providers of images")
}

type speechArgs struct {
	Text         string  `json:"text" jsonschema:"required,minLength=1,maxLength=4096" jsonschema_description:"What is spoken."`
	Voice        string  `json:"voice,omitempty" jsonschema:"maxLength=100" jsonschema_description:"Name of one of the model's voices."`
	Model        string  `json:"model,omitempty" jsonschema:"maxLength=200" jsonschema_description:"provider/name; the usual one when left out."`
	OutputFormat string  `json:"output_format,omitempty" jsonschema:"enum=mp3,enum=wav,enum=opus,enum=aac,enum=flac"`
	Speed        float64 `json:"speed,omitempty" jsonschema:"minimum=0.25,maximum=4"`
	Instructions string  `json:"instructions,omitempty" jsonschema:"maxLength=4000" jsonschema_description:"How it is spoken."`
	Folder       string  `json:"folder,omitempty" jsonschema:"maxLength=256" jsonschema_description:"Of the workspace's files; speech when left out."`
}

func textToSpeech(m Media, files Files) tool.Tool {
	t := tool.Define(tool.Spec{Name: "text_to_speech", Title: "Speak a text", Category: "ai", Risk: node.RiskMedium, Effect: true, Limit: perHour(200),
		Restrictions: []string{fmt.Sprintf("%d characters at a time at most.", media.MaxSpoken), withinBudgets},
		Description:  "Speaks a text, and stores the sound as a file of the workspace."},
		func(ctx context.Context, call tool.Call, a speechArgs) (tool.Result, error) {
			got, err := m.Make(ctx, caller(call), media.Request{Kind: media.Speech, Model: a.Model, Key: call.Key, Text: a.Text, Voice: a.Voice, Format: a.OutputFormat, Speed: a.Speed, Instructions: a.Instructions})
			if err != nil {
				return tool.Result{}, err
			}
			kept, err := store(ctx, files, call, cmp.Or(a.Folder, "speech"), a.Text, got.Pieces[0])
			if err != nil {
				return spent(got, "", nil), err
			}
			return spent(got, fmt.Sprintf("Made %s with %s.", kept.Path, got.Model), struct {
				stored
				made
			}{kept, madeBy(got)}), nil
		})
	return needs(t, m != nil && files != nil, "providers of speech")
}

type transcribeArgs struct {
	Path     string `json:"path" jsonschema:"required,minLength=1,maxLength=512" jsonschema_description:"Of a recording in the workspace's files."`
	Model    string `json:"model,omitempty" jsonschema:"maxLength=200" jsonschema_description:"provider/name; the usual one when left out."`
	Language string `json:"language,omitempty" jsonschema:"pattern=^[a-z]{2}$" jsonschema_description:"Of two letters, such as en; found out when left out."`
	Prompt   string `json:"prompt,omitempty" jsonschema:"maxLength=2000" jsonschema_description:"Names and words that occur in it."`
}

func speechToText(m Media, files Files) tool.Tool {
	t := tool.Define(tool.Spec{Name: "speech_to_text", Title: "Transcribe a recording", Category: "ai", Risk: node.RiskLow, Limit: perHour(200),
		Restrictions: []string{fmt.Sprintf("Recordings of %d MiB at most, from the files of its workspace.", media.MaxAudio>>20), withinBudgets},
		Description:  "Writes down what is said in a recording among the workspace's files."},
		func(ctx context.Context, call tool.Call, a transcribeArgs) (tool.Result, error) {
			sound, err := files.Read(ctx, call.WorkspaceID, a.Path)
			if err != nil {
				return tool.Result{}, err
			}
			got, err := m.Make(ctx, caller(call), media.Request{Kind: media.Transcription, Model: a.Model, Key: call.Key, Audio: sound, AudioName: path.Base(a.Path), Language: a.Language, Prompt: a.Prompt})
			if err != nil {
				return tool.Result{}, err
			}
			r := spent(got, got.Text, struct {
				Text string `json:"text"`
				made
			}{got.Text, madeBy(got)})
			r.Text = clip(got.Text, readable)
			return r, nil
		})
	return needs(t, m != nil && files != nil, "providers of speech")
}
