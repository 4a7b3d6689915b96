package media

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// StabilityConfig describes Stability's models. BaseURL "" means its own.
type StabilityConfig struct{ Key, BaseURL string }

// Stability makes pictures with Stability's models.
type Stability struct {
	endpoint
	key string
}

var _ Provider = (*Stability)(nil)

// NewStability returns the provider.
func NewStability(cfg StabilityConfig) *Stability {
	base := strings.TrimRight(cmp.Or(cfg.BaseURL, "https://api.stability.ai"), "/")
	return &Stability{endpoint: endpoint{name: "stability", base: base, keyName: "STABILITY_API_KEY", client: bounded()}, key: cfg.Key}
}

// Name implements Provider.
func (p *Stability) Name() string { return p.name }

// Address implements Provider.
func (p *Stability) Address() string { return p.base }

// Configured implements Provider.
func (p *Stability) Configured() bool { return p.key != "" }

// Models implements Provider.
func (p *Stability) Models() []Model {
	all, few := []string{"png", "jpeg", "webp"}, []string{"png", "jpeg"}
	return []Model{{Name: "core", Kind: Image, Formats: all}, {Name: "ultra", Kind: Image, Formats: all},
		{Name: "sd3.5-large", Kind: Image, Formats: few}, {Name: "sd3.5-large-turbo", Kind: Image, Formats: few}, {Name: "sd3.5-medium", Kind: Image, Formats: few}}
}

// Make implements Provider.
func (p *Stability) Make(ctx context.Context, r Request) (*Answer, error) {
	if !p.Configured() {
		return nil, notSetUp(p.name, p.keyName)
	}
	ratio := map[string]string{"4:3": "5:4", "3:4": "4:5"}[r.AspectRatio] // which it does not know
	fields := [][2]string{{"prompt", r.Prompt}, {"aspect_ratio", cmp.Or(ratio, r.AspectRatio)}, {"output_format", r.Format}}
	path := r.Model
	if strings.HasPrefix(r.Model, "sd3") {
		path, fields = "sd3", append(fields, [2]string{"model", r.Model})
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for _, f := range fields {
		if err := w.WriteField(f[0], f[1]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	var got struct {
		Image        string `json:"image"`
		FinishReason string `json:"finish_reason"`
	}
	moderated := false
	header := http.Header{"Content-Type": {w.FormDataContentType()}, "Accept": {"application/json"}, "Authorization": {"Bearer " + p.key}}
	err := p.post(ctx, "/v2beta/stable-image/generate/"+url.PathEscape(path), header, form.Bytes(), &got, func(text []byte) (kind, message string) {
		var said struct {
			Name   string
			Errors []string
		}
		_ = json.Unmarshal(text, &said) // the status of HTTP says enough
		moderated = said.Name == "content_moderation"
		return said.Name, strings.Join(said.Errors, "; ")
	})
	if moderated || err == nil && got.FinishReason == "CONTENT_FILTERED" {
		return nil, refused(p.name, "its filter took offence")
	}
	if err != nil {
		return nil, err
	}
	piece, err := base64.StdEncoding.DecodeString(got.Image)
	if err != nil || len(piece) == 0 {
		return nil, unreadable(p.name, err)
	}
	return &Answer{Pieces: [][]byte{piece}, Units: Units{Images: 1}}, nil
}
