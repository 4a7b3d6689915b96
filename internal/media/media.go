// Package media makes pictures and speech, and hears speech: through the
// providers that are set up, metered, within the budgets, and offline through a
// demo that says so.
package media

import (
	"context"
	"time"

	"agentstudio/internal/fault"
)

// Kind is what is made.
type Kind string

// The kinds.
const (
	Image         Kind = "image"         // from a description
	Speech        Kind = "speech"        // from a text
	Transcription Kind = "transcription" // the words of a recording
)

// Model is a model that a provider is known to have.
type Model struct {
	Name string
	Kind Kind
	// Most is how many pictures it makes at a time; 0 means one.
	Most int
	// Formats are those it can answer in, the usual one first. Pictures in PNG
	// and JPEG are turned into each other where it cannot.
	Formats []string
	Demo    bool
}

// Provider makes media with its models. It is safe for concurrent use.
type Provider interface {
	// Name is the part of a model's name before the slash.
	Name() string
	// Configured reports whether it can be called here.
	Configured() bool
	// Address is where it is called; "" where no network is.
	Address() string
	// Models are those it is known to have; of each kind the usual one first.
	// One with none of a kind may have others that it does not list.
	Models() []Model
	// Make makes one call. Faults are those of models: what passes by itself is
	// llm.Transient; Invalid with code "refused": it will not make that.
	Make(ctx context.Context, r Request) (*Answer, error)
}

// Request is what is to be made. Model is without its provider, in calls of
// one, and with it in calls of the Service; there "" means the usual one.
type Request struct {
	Kind  Kind
	Model string
	// Key, when set, is the same for every repetition of this call.
	Key string

	Prompt      string // of pictures: what they show. Of recordings: names and words that occur
	N           int    // pictures; 0 means one
	AspectRatio string // "16:9"; "" means "1:1". The nearest that the model can is made
	Format      string // png, jpeg, webp; mp3, wav, opus, aac, flac; "" means the usual one

	Text         string // that is spoken
	Voice        string
	Speed        float64 // 0 means 1
	Instructions string  // how it is spoken

	Audio     []byte // that is heard
	AudioName string
	Language  string // ISO 639-1; "" finds out
}

// Units are what is counted of a call, beside tokens.
type Units struct {
	Images     int
	Characters int           // that were spoken
	Heard      time.Duration // of a recording
	Input      int64         // tokens
	Output     int64
	// Uncounted says that the provider did not tell what it counts by.
	Uncounted bool
}

// Add returns the sum.
func (u Units) Add(v Units) Units {
	return Units{Images: u.Images + v.Images, Characters: u.Characters + v.Characters, Heard: u.Heard + v.Heard,
		Input: u.Input + v.Input, Output: u.Output + v.Output, Uncounted: u.Uncounted || v.Uncounted}
}

// Answer is what a provider gave.
type Answer struct {
	Pieces [][]byte // pictures, or one piece of sound
	Text   string   // of a transcription
	Units  Units
}

// Bounds of requests and answers.
const (
	MaxImages = 4
	MaxPrompt = 32_000   // bytes
	MaxSpoken = 4_096    // characters
	MaxAudio  = 25 << 20 // bytes that are heard
	maxAnswer = 96 << 20 // bytes of a provider's answer
)

// AspectRatios lists the shapes of pictures.
func AspectRatios() []string { return []string{"1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"} }

// refused says that a provider will not make what was asked for.
func refused(provider, why string) error {
	if why != "" {
		why = ": " + why
	}
	return fault.New(fault.Invalid, "%s will not make this%s", provider, why).WithCode("refused")
}

// unreadable says that an answer is none.
func unreadable(provider string, err error) error {
	return fault.Wrap(fault.Upstream, err, "%s sent an answer that cannot be read", provider).WithCode("bad_response")
}
