package media

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// GeminiConfig describes Google's models. BaseURL "" means Google's own.
type GeminiConfig struct{ Key, BaseURL string }

// Gemini makes pictures with Google's models, over their own protocol.
type Gemini struct {
	endpoint
	key string
}

var _ Provider = (*Gemini)(nil)

// NewGemini returns the provider.
func NewGemini(cfg GeminiConfig) *Gemini {
	base := strings.TrimRight(cmp.Or(cfg.BaseURL, "https://generativelanguage.googleapis.com/v1beta"), "/")
	return &Gemini{endpoint: endpoint{name: "gemini", base: base, keyName: "GEMINI_API_KEY", client: bounded()}, key: cfg.Key}
}

// Name implements Provider.
func (p *Gemini) Name() string { return p.name }

// Address implements Provider.
func (p *Gemini) Address() string { return p.base }

// Configured implements Provider.
func (p *Gemini) Configured() bool { return p.key != "" }

// Models implements Provider.
func (p *Gemini) Models() []Model {
	formats := []string{"png", "jpeg"}
	return []Model{
		{Name: "gemini-2.5-flash-image", Kind: Image, Formats: formats}, {Name: "gemini-3-pro-image-preview", Kind: Image, Formats: formats},
		{Name: "imagen-4.0-generate-001", Kind: Image, Most: MaxImages, Formats: formats}, {Name: "imagen-4.0-ultra-generate-001", Kind: Image, Most: MaxImages, Formats: formats},
		{Name: "imagen-4.0-fast-generate-001", Kind: Image, Most: MaxImages, Formats: formats},
	}
}

// Make implements Provider.
func (p *Gemini) Make(ctx context.Context, r Request) (*Answer, error) {
	if !p.Configured() {
		return nil, notSetUp(p.name, p.keyName)
	}
	if strings.HasPrefix(r.Model, "imagen") {
		return p.predict(ctx, r)
	}
	return p.generate(ctx, r)
}

func (p *Gemini) call(ctx context.Context, model, method string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}, "X-Goog-Api-Key": {p.key}}
	return p.post(ctx, "/models/"+url.PathEscape(model)+":"+method, header, text, out, func(text []byte) (kind, message string) {
		var said struct {
			Error struct{ Status, Message string }
		}
		_ = json.Unmarshal(text, &said) // the status of HTTP says enough
		return strings.ToLower(said.Error.Status), said.Error.Message
	})
}

type geminiAnswer struct {
	Candidates []struct {
		FinishReason string `json:"finishReason"`
		Content      struct {
			Parts []struct {
				Text       string `json:"text"`
				InlineData struct {
					Data string `json:"data"`
				} `json:"inlineData"`
			} `json:"parts"`
		} `json:"content"`
	} `json:"candidates"`
	PromptFeedback struct {
		BlockReason string `json:"blockReason"`
	} `json:"promptFeedback"`
	UsageMetadata struct {
		Prompt     int64 `json:"promptTokenCount"`
		Candidates int64 `json:"candidatesTokenCount"`
	} `json:"usageMetadata"`
}

// generate asks a model that talks, and may draw.
func (p *Gemini) generate(ctx context.Context, r Request) (*Answer, error) {
	var got geminiAnswer
	err := p.call(ctx, r.Model, "generateContent", map[string]any{
		"contents":         []any{map[string]any{"role": "user", "parts": []any{map[string]any{"text": r.Prompt}}}},
		"generationConfig": map[string]any{"responseModalities": []string{"IMAGE"}, "imageConfig": map[string]any{"aspectRatio": r.AspectRatio}},
	}, &got)
	if err != nil {
		return nil, err
	}
	out := &Answer{Units: Units{Input: got.UsageMetadata.Prompt, Output: got.UsageMetadata.Candidates}}
	why := got.PromptFeedback.BlockReason
	for _, c := range got.Candidates {
		for _, part := range c.Content.Parts {
			if part.InlineData.Data == "" {
				continue
			}
			piece, err := base64.StdEncoding.DecodeString(part.InlineData.Data)
			if err != nil {
				return nil, unreadable(p.name, err)
			}
			out.Pieces = append(out.Pieces, piece)
		}
		why = cmp.Or(why, c.FinishReason)
	}
	if len(out.Pieces) == 0 {
		return nil, refused(p.name, why)
	}
	out.Units.Images = len(out.Pieces)
	return out, nil
}

// predict asks a model that only draws.
func (p *Gemini) predict(ctx context.Context, r Request) (*Answer, error) {
	ratio := map[string]string{"3:2": "4:3", "2:3": "3:4"}[r.AspectRatio] // which it does not know
	var got struct {
		Predictions []struct {
			Data     string `json:"bytesBase64Encoded"`
			Filtered string `json:"raiFilteredReason"`
		} `json:"predictions"`
	}
	err := p.call(ctx, r.Model, "predict", map[string]any{
		"instances":  []any{map[string]any{"prompt": r.Prompt}},
		"parameters": map[string]any{"sampleCount": r.N, "aspectRatio": cmp.Or(ratio, r.AspectRatio), "includeRaiReason": true},
	}, &got)
	if err != nil {
		return nil, err
	}
	out, why := &Answer{}, ""
	for _, one := range got.Predictions {
		piece, err := base64.StdEncoding.DecodeString(one.Data)
		if err != nil {
			return nil, unreadable(p.name, err)
		}
		if why = cmp.Or(why, one.Filtered); len(piece) > 0 {
			out.Pieces = append(out.Pieces, piece)
		}
	}
	if len(out.Pieces) == 0 {
		return nil, refused(p.name, why)
	}
	out.Units.Images = len(out.Pieces)
	return out, nil
}
