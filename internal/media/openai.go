package media

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"agentstudio/internal/llm"
)

// OpenAIConfig describes an endpoint that speaks OpenAI's protocol.
type OpenAIConfig struct {
	Name    string // "" means "openai"
	BaseURL string // up to and with "/v1"; "" means OpenAI's own
	Key     string // "" sends none
}

// OpenAI makes pictures and speech over OpenAI's protocol, and hears.
type OpenAI struct {
	cfg     OpenAIConfig
	own     bool
	keyName string
	images  sdk.ImageService
	speech  sdk.AudioSpeechService
	heard   sdk.AudioTranscriptionService
}

var _ Provider = (*OpenAI)(nil)

// NewOpenAI returns the provider of an endpoint.
func NewOpenAI(cfg OpenAIConfig) *OpenAI {
	cfg.Name = cmp.Or(cfg.Name, "openai")
	p := &OpenAI{cfg: cfg, own: cfg.BaseURL == "", keyName: strings.ToUpper(strings.ReplaceAll(cfg.Name, "-", "_")) + "_API_KEY"}
	if p.own {
		p.cfg.BaseURL = "https://api.openai.com/v1"
	}
	options := []option.RequestOption{option.WithBaseURL(p.cfg.BaseURL), option.WithHTTPClient(bounded()), option.WithMaxRetries(0)}
	if cfg.Key != "" {
		options = append(options, option.WithAPIKey(cfg.Key))
	}
	p.images, p.speech, p.heard = sdk.NewImageService(options...), sdk.NewAudioSpeechService(options...), sdk.NewAudioTranscriptionService(options...)
	return p
}

// Name implements Provider.
func (p *OpenAI) Name() string { return p.cfg.Name }

// Address implements Provider.
func (p *OpenAI) Address() string { return p.cfg.BaseURL }

// Configured implements Provider: local servers need no key.
func (p *OpenAI) Configured() bool { return p.cfg.Key != "" || !p.own }

// Models implements Provider. Of servers that are not OpenAI's none are known.
func (p *OpenAI) Models() []Model {
	if !p.own {
		return nil
	}
	pictures, sounds := []string{"png", "jpeg", "webp"}, []string{"mp3", "wav", "opus", "aac", "flac"}
	return []Model{
		{Name: "gpt-image-1.5", Kind: Image, Most: MaxImages, Formats: pictures}, {Name: "gpt-image-1", Kind: Image, Most: MaxImages, Formats: pictures},
		{Name: "gpt-image-1-mini", Kind: Image, Most: MaxImages, Formats: pictures}, {Name: "gpt-image-2", Kind: Image, Most: MaxImages, Formats: pictures},
		{Name: "gpt-4o-mini-tts", Kind: Speech, Formats: sounds}, {Name: "tts-1", Kind: Speech, Formats: sounds}, {Name: "tts-1-hd", Kind: Speech, Formats: sounds},
		{Name: "gpt-4o-transcribe", Kind: Transcription}, {Name: "gpt-4o-mini-transcribe", Kind: Transcription}, {Name: "whisper-1", Kind: Transcription},
	}
}

// Make implements Provider.
func (p *OpenAI) Make(ctx context.Context, r Request) (*Answer, error) {
	if !p.Configured() {
		return nil, notSetUp(p.cfg.Name, p.keyName)
	}
	if err := usable(p.cfg.Name, p.cfg.BaseURL); err != nil {
		return nil, err
	}
	var options []option.RequestOption
	if r.Key != "" {
		options = append(options, option.WithHeader("Idempotency-Key", r.Key))
	}
	call := p.paint
	switch r.Kind {
	case Speech:
		call = p.speak
	case Transcription:
		call = p.hear
	case Image:
	}
	answer, err := call(ctx, r, options)
	if err != nil {
		return nil, p.explain(ctx, err)
	}
	return answer, nil
}

func (p *OpenAI) paint(ctx context.Context, r Request, options []option.RequestOption) (*Answer, error) {
	params := sdk.ImageGenerateParams{Prompt: r.Prompt, Model: r.Model, N: sdk.Int(int64(r.N)), Size: sdk.ImageGenerateParamsSize(openAISize(r.Model, r.AspectRatio))}
	if strings.HasPrefix(r.Model, "gpt-image") || strings.HasPrefix(r.Model, "chatgpt-image") {
		params.OutputFormat = sdk.ImageGenerateParamsOutputFormat(r.Format)
	} else { // those answer with an address where nothing else is said
		params.ResponseFormat = sdk.ImageGenerateParamsResponseFormatB64JSON
	}
	made, err := p.images.Generate(ctx, params, options...)
	if err != nil {
		return nil, err
	}
	out := &Answer{Units: Units{Images: len(made.Data), Input: made.Usage.InputTokens, Output: made.Usage.OutputTokens}}
	for _, one := range made.Data {
		piece, err := base64.StdEncoding.DecodeString(one.B64JSON)
		if err != nil || len(piece) == 0 {
			return nil, unreadable(p.cfg.Name, err)
		}
		out.Pieces = append(out.Pieces, piece)
	}
	return out, nil
}

// openAISize is the size nearest to a shape.
func openAISize(model, ratio string) string {
	wide, tall := "1536x1024", "1024x1536"
	if strings.HasPrefix(model, "dall-e") {
		wide, tall = "1792x1024", "1024x1792"
	}
	switch across, down := shape(ratio); {
	case across > down:
		return wide
	case across < down:
		return tall
	}
	return "1024x1024"
}

func (p *OpenAI) speak(ctx context.Context, r Request, options []option.RequestOption) (*Answer, error) {
	params := sdk.AudioSpeechNewParams{Input: r.Text, Model: r.Model, ResponseFormat: sdk.AudioSpeechNewParamsResponseFormat(r.Format),
		Voice: sdk.AudioSpeechNewParamsVoiceUnion{OfString: sdk.String(cmp.Or(r.Voice, "alloy"))}}
	if r.Speed > 0 {
		params.Speed = sdk.Float(r.Speed)
	}
	if r.Instructions != "" {
		params.Instructions = sdk.String(r.Instructions)
	}
	answer, err := p.speech.New(ctx, params, options...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	sound, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if len(sound) == 0 || strings.Contains(answer.Header.Get("Content-Type"), "json") {
		return nil, unreadable(p.cfg.Name, nil)
	}
	return &Answer{Pieces: [][]byte{sound}, Units: Units{Characters: len([]rune(r.Text))}}, nil
}

func (p *OpenAI) hear(ctx context.Context, r Request, options []option.RequestOption) (*Answer, error) {
	params := sdk.AudioTranscriptionNewParams{File: sdk.File(bytes.NewReader(r.Audio), r.AudioName, "application/octet-stream"), Model: r.Model, ResponseFormat: sdk.AudioResponseFormatJSON}
	if r.Language != "" {
		params.Language = sdk.String(r.Language)
	}
	if r.Prompt != "" {
		params.Prompt = sdk.String(r.Prompt)
	}
	said, err := p.heard.New(ctx, params, options...)
	if err != nil {
		return nil, err
	}
	u := Units{Input: said.Usage.InputTokens, Output: said.Usage.OutputTokens, Heard: seconds(max(said.Usage.Seconds, said.Duration))}
	u.Uncounted = u == Units{}
	return &Answer{Text: said.Text, Units: u}, nil
}

// explain turns the SDK's errors into faults.
func (p *OpenAI) explain(ctx context.Context, err error) error {
	var said *sdk.Error
	if !errors.As(err, &said) || said.StatusCode == 0 {
		return broken(ctx, p.cfg.Name, err)
	}
	if said.Code == "moderation_blocked" || said.Code == "content_policy_violation" {
		return refused(p.cfg.Name, said.Message)
	}
	after := ""
	if said.Response != nil {
		after = said.Response.Header.Get("Retry-After")
	}
	return llm.Rejection{Provider: p.cfg.Name, Status: said.StatusCode, Type: said.Type, Message: said.Message, RetryAfter: after, KeyName: p.keyName}.Fault(err)
}
