package api

import (
	"context"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
)

func (s *Server) mediaRoutes() {
	register(s, op{Method: "POST", Path: "/tools/ai/image", ID: "make-images", Tag: "tools", Summary: "Make images from a description",
		Notes: "They are stored as files. Metered, and within the budgets of the workspace."}, s.makeImages)
	register(s, op{Method: "POST", Path: "/tools/ai/speech", ID: "speak", Tag: "tools", Summary: "Speak a text",
		Notes: "The sound is stored as a file. Metered, and within the budgets of the workspace."}, s.speak)
	register(s, op{Method: "POST", Path: "/tools/ai/transcribe", ID: "transcribe", Tag: "tools", Summary: "Write down what is said in a recording",
		Notes: "The recording is a file of the workspace. Metered, and within the budgets of the workspace."}, s.transcribe)
}

// StoredMedia is a file that was made.
type StoredMedia struct {
	FileID      string `json:"file_id" format:"uuid"`
	URL         string `json:"url" format:"uri" doc:"Of the content, for those who may read the workspace"`
	Path        string `json:"path"`
	ContentType string `json:"content_type"`
	Size        int64  `json:"size" doc:"Bytes"`
}

// MadeBy is what made it and at what cost.
type MadeBy struct {
	Model   string     `json:"model"`
	Usage   TokenCount `json:"usage" doc:"Zeroes where the model counts pictures, characters or minutes"`
	CostUSD *float64   `json:"cost_usd" doc:"null: its price is not known"`
	Demo    bool       `json:"demo,omitempty" doc:"The offline demo made it"`
}

// MadeImage is a picture that was made.
type MadeImage struct {
	StoredMedia
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
}

// MadeImages are pictures that were made.
type MadeImages struct {
	Images []MadeImage `json:"images"`
	MadeBy
	Missing string `json:"missing,omitempty" doc:"Why there are fewer than were asked for"`
}

type makeImagesInput struct {
	InWorkspace
	Body struct {
		Prompt       string `json:"prompt" minLength:"1" maxLength:"32000"`
		Model        string `json:"model,omitempty" maxLength:"200" doc:"provider/name; left out: the usual one"`
		N            int    `json:"n,omitempty" minimum:"1" maximum:"4" default:"1"`
		AspectRatio  string `json:"aspect_ratio,omitempty" enum:"1:1,16:9,9:16,4:3,3:4,3:2,2:3" default:"1:1" doc:"The nearest shape that the model can make"`
		OutputFormat string `json:"output_format,omitempty" enum:"png,jpeg,webp" doc:"Left out: what the model usually answers in"`
	}
}

func (s *Server) makeImages(ctx context.Context, by access.Actor, in *makeImagesInput) (*Body[MadeImages], error) {
	var out MadeImages
	result, err := s.viaTool(ctx, by, in.WorkspaceID, "image_generate", in.Body, &out)
	if err != nil {
		return nil, err
	}
	out.Usage = viewTokens(result.Usage)
	for i := range out.Images {
		out.Images[i].URL = s.contentURL(ctx, out.Images[i].FileID)
	}
	return &Body[MadeImages]{out}, nil
}

// contentURL is where the content of a file is.
func (s *Server) contentURL(ctx context.Context, fileID string) string {
	from := s.cfg.PublicURL
	if from == "" {
		from = callOf(ctx).origin
	}
	return from + base + "/tools/files/" + fileID + "?download=1"
}

// MadeSpeech is a sound that was made.
type MadeSpeech struct {
	StoredMedia
	MadeBy
}

type speakInput struct {
	InWorkspace
	Body struct {
		Text         string  `json:"text" minLength:"1" maxLength:"4096"`
		Voice        string  `json:"voice,omitempty" maxLength:"100"`
		Model        string  `json:"model,omitempty" maxLength:"200" doc:"provider/name; left out: the usual one"`
		OutputFormat string  `json:"output_format,omitempty" enum:"mp3,wav,opus,aac,flac" doc:"Left out: what the model usually answers in"`
		Speed        float64 `json:"speed,omitempty" minimum:"0.25" maximum:"4"`
		Instructions string  `json:"instructions,omitempty" maxLength:"4000" doc:"How it is spoken"`
	}
}

func (s *Server) speak(ctx context.Context, by access.Actor, in *speakInput) (*Body[MadeSpeech], error) {
	var out MadeSpeech
	result, err := s.viaTool(ctx, by, in.WorkspaceID, "text_to_speech", in.Body, &out)
	if err != nil {
		return nil, err
	}
	out.Usage, out.URL = viewTokens(result.Usage), s.contentURL(ctx, out.FileID)
	return &Body[MadeSpeech]{out}, nil
}

// Transcript is what is said in a recording.
type Transcript struct {
	Text string `json:"text"`
	MadeBy
}

type transcribeInput struct {
	InWorkspace
	Body struct {
		FileID   string `json:"file_id,omitempty" format:"uuid" doc:"This or path"`
		Path     string `json:"path,omitempty" maxLength:"512"`
		Model    string `json:"model,omitempty" maxLength:"200" doc:"provider/name; left out: the usual one"`
		Language string `json:"language,omitempty" pattern:"^[a-z]{2}$" doc:"ISO 639-1; left out: found out"`
		Prompt   string `json:"prompt,omitempty" maxLength:"2000" doc:"Names and words that occur in it"`
	}
}

func (s *Server) transcribe(ctx context.Context, by access.Actor, in *transcribeInput) (*Body[Transcript], error) {
	b := in.Body
	if (b.FileID == "") == (b.Path == "") {
		return nil, fault.InvalidInput(fault.Detail{Location: "body.file_id", Message: "say which recording: file_id or path, one of them"})
	}
	ws := workspaceOr(by, in.WorkspaceID)
	if b.FileID != "" {
		f, err := s.Files.Find(ctx, by, b.FileID)
		if err != nil {
			return nil, err
		}
		if in.WorkspaceID != "" && in.WorkspaceID != f.WorkspaceID {
			return nil, fault.New(fault.NotFound, "this workspace has no such file")
		}
		ws, b.Path, b.FileID = f.WorkspaceID, f.Path, ""
	}
	var out Transcript
	result, err := s.viaTool(ctx, by, ws, "speech_to_text", b, &out)
	if err != nil {
		return nil, err
	}
	out.Usage = viewTokens(result.Usage)
	return &Body[Transcript]{out}, nil
}
