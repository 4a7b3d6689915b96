package media

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
	"agentstudio/internal/usage"
)

// Config adjusts a Service; zero values are useful.
type Config struct {
	// Usual is the model, with its provider, that a kind is made with where
	// nothing else is asked for. Without one it is the first of the first
	// provider that is set up, else the demo's.
	Usual  map[Kind]string
	Ledger usage.Sink // hears of every call; nil: nobody does
	Gate   llm.Gate   // lets calls through; nil: all pass
	Prices *Prices
	// Turn waits until an address may be called; nil: at once.
	Turn     func(ctx context.Context, address string) error
	Attempts int           // of one call, the first one included; 3
	Timeout  time.Duration // of an attempt; 3 min
	Now      func() time.Time
	// Sleep waits or returns the context's cause; nil means a real timer.
	Sleep func(context.Context, time.Duration) error
}

// Service makes media with the providers there are. It is safe for concurrent
// use.
type Service struct {
	cfg       Config
	providers []Provider
}

// New returns a service over the providers, the preferred first. It panics when
// two have the same name.
func New(cfg Config, providers ...Provider) *Service {
	for i, p := range providers {
		if slices.ContainsFunc(providers[:i], func(other Provider) bool { return other.Name() == p.Name() }) {
			panic("media provider listed twice: " + p.Name())
		}
	}
	if cfg.Ledger == nil {
		cfg.Ledger = usage.Discard{}
	}
	if cfg.Attempts <= 0 {
		cfg.Attempts = 3
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 3 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	return &Service{cfg: cfg, providers: providers}
}

// Made is what was made.
type Made struct {
	Pieces     []Piece
	Text       string
	Model      string // "provider/name"
	Demo       bool
	Units      Units
	CostMicros *int64 // nil: a price is not known
	// Missing says why there are fewer pictures than were asked for; "" when
	// all are there.
	Missing string
}

// Piece is a picture, or a sound.
type Piece struct {
	Content       []byte
	Format        string
	Width, Height int // of a picture in a format that can be read here
}

// target is a model and its provider.
type target struct {
	Model
	provider Provider
}

func (t target) id() string { return t.provider.Name() + "/" + t.Name }

// Make makes what is asked for. Invalid: the request, with every fault, or code
// "refused": the provider will not make it. OverBudget: a budget of who asks
// refuses the call, before it is made. NotConfigured: the provider is not set
// up. What passes by itself was tried again.
func (s *Service) Make(ctx context.Context, by llm.Caller, r Request) (*Made, error) {
	t, err := s.find(r.Kind, r.Model)
	if err != nil {
		return nil, err
	}
	if r, err = complete(t, r); err != nil {
		return nil, err
	}
	r.Model = t.Name
	var zero int64
	out := &Made{Model: t.id(), Demo: t.Demo, CostMicros: &zero}
	wanted := r.N
	for left := wanted; left > 0; {
		r.N = min(left, max(t.Most, 1))
		if left != wanted {
			r.Key += "+" // another call
		}
		answer, cost, err := s.call(ctx, by, t, r)
		if err != nil && len(out.Pieces) > 0 && ctx.Err() == nil {
			out.Missing = fmt.Sprintf("%d of %d pictures are missing: %s", left, wanted, fault.Message(err))
			return out, nil // what was made was paid for
		}
		if err != nil {
			return nil, err
		}
		if err := out.add(t, r, answer, cost); err != nil {
			return nil, err
		}
		left -= r.N
	}
	if n := wanted - len(out.Pieces); n > 0 && r.Kind == Image {
		out.Missing = fmt.Sprintf("%d of %d pictures were held back by the provider", n, wanted)
	}
	return out, nil
}

func (m *Made) add(t target, r Request, answer *Answer, cost *int64) error {
	m.Text, m.Units = answer.Text, m.Units.Add(answer.Units)
	if cost == nil || m.CostMicros == nil {
		m.CostMicros = nil
	} else {
		sum := *m.CostMicros + *cost
		m.CostMicros = &sum
	}
	if r.Kind == Transcription {
		return nil
	}
	if len(answer.Pieces) == 0 {
		return unreadable(t.provider.Name(), nil)
	}
	for _, content := range answer.Pieces[:min(len(answer.Pieces), r.N)] {
		p := Piece{Content: content, Format: r.Format}
		if r.Kind == Image {
			p = picture(content, r.Format)
		}
		m.Pieces = append(m.Pieces, p)
	}
	return nil
}

// call makes one call, and again after what passes by itself. A call that timed
// out here is not made again: it may have been made, and took long.
func (s *Service) call(ctx context.Context, by llm.Caller, t target, r Request) (*Answer, *int64, error) {
	for attempt := 1; ; attempt++ {
		answer, cost, err := s.attempt(ctx, by, t, r)
		if err == nil {
			return answer, cost, nil
		}
		if attempt >= s.cfg.Attempts || ctx.Err() != nil || !llm.Transient(err) || fault.Is(err, fault.Timeout) {
			return nil, nil, err
		}
		const base, longest = time.Second, time.Minute
		delay := base<<attempt - time.Duration(rand.Float64()*float64(base)) //nolint:gosec // no secret
		if after := fault.As(err).RetryAfter; after > longest {
			return nil, nil, err
		} else if after > 0 {
			delay = max(delay, after)
		}
		if s.cfg.Sleep(ctx, delay) != nil {
			return nil, nil, err
		}
	}
}

// attempt makes a call once, under the budgets, and enters it.
func (s *Service) attempt(ctx context.Context, by llm.Caller, t target, r Request) (*Answer, *int64, error) {
	record := usage.Record{UserID: by.UserID, WorkspaceID: by.WorkspaceID, WorkflowID: by.WorkflowID, ExecutionID: by.ExecutionID, NodeID: by.NodeID,
		Agent: by.Agent, Above: by.Above, APIKeyID: by.APIKeyID, Provider: t.provider.Name(), Model: t.Name, Kind: string(r.Kind)}
	held := ""
	if s.cfg.Gate != nil {
		var cost int64
		may := most(r)
		if c := s.cfg.Prices.Cost(t.id(), may); c != nil {
			cost = *c
		}
		var err error
		if held, err = s.cfg.Gate.Reserve(ctx, record, cost, may.Input+may.Output); err != nil {
			return nil, nil, err
		}
	}
	record.At = s.cfg.Now()
	answer, err := s.made(ctx, t, r)
	record.Latency = s.cfg.Now().Sub(record.At)
	if err == nil {
		record.Input, record.Output, record.Units, record.Outcome = answer.Units.Input, answer.Units.Output, answer.Units.counted(r.Kind), usage.Answered
		record.CostMicros = s.cfg.Prices.Cost(t.id(), answer.Units)
	} else {
		record.Outcome, record.ErrorCode = outcome(err)
	}
	s.enter(context.WithoutCancel(ctx), held, record)
	return answer, record.CostMicros, err
}

func (s *Service) made(ctx context.Context, t target, r Request) (*Answer, error) {
	if s.cfg.Turn != nil && t.provider.Address() != "" && t.provider.Configured() {
		if err := s.cfg.Turn(ctx, t.provider.Address()); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.Timeout, context.DeadlineExceeded)
	defer cancel()
	return t.provider.Make(ctx, r)
}

// counted is the one number of a call that the ledger keeps beside tokens.
func (u Units) counted(k Kind) int64 {
	switch k {
	case Speech:
		return int64(u.Characters)
	case Transcription:
		return u.Heard.Milliseconds()
	case Image:
	}
	return int64(u.Images)
}

func outcome(err error) (o usage.Outcome, code string) {
	code = string(fault.KindOf(err))
	if f := fault.As(err); f != nil && f.Code != "" {
		code = f.Code
	}
	switch {
	case code == "refused":
		return usage.Refused, code
	case fault.Is(err, fault.Cancelled):
		return usage.Cancelled, code
	}
	return usage.Failed, code
}

// settleTime is how long a call waits for its record to be kept.
const settleTime = 30 * time.Second

// enter keeps the record of a call. What cannot be settled is left to the
// ledger; what was held for it is let go by time.
func (s *Service) enter(ctx context.Context, held string, r usage.Record) {
	if held != "" {
		r.ID = held
		ctx, cancel := context.WithTimeout(ctx, settleTime)
		defer cancel()
		if s.cfg.Gate.Settle(ctx, held, r) == nil {
			return
		}
	}
	s.cfg.Ledger.Record(ctx, r)
}

// find returns the model of a name: "provider/name", the bare name of a listed
// one, or "" for the usual one.
func (s *Service) find(k Kind, name string) (target, error) {
	if name == "" || name == llm.Default {
		name = s.usual(k)
	}
	of, rest, whole := strings.Cut(name, "/")
	for _, p := range s.providers {
		if whole && p.Name() != of {
			continue
		}
		kinds, taken := p.Models() == nil, false
		for _, m := range p.Models() {
			if m.Kind == k && (m.Name == rest || !whole && m.Name == name) {
				return target{m, p}, nil
			}
			kinds, taken = kinds || m.Kind == k, taken || m.Name == rest
		}
		if whole && rest != "" && kinds && !taken && p.Address() != "" { // it may have models that it does not list
			return target{Model{Name: rest, Kind: k, Formats: formats(k)}, p}, nil
		}
	}
	known := s.Models(k)
	return target{}, fault.New(fault.Invalid, "no model %q makes %s here%s; there are %s", name, k.plural(), fault.DidYouMean(name, known), strings.Join(known, ", ")).WithCode("unknown_model")
}

func (k Kind) plural() string {
	if k == Speech {
		return "speech"
	}
	return string(k) + "s"
}

func formats(k Kind) []string {
	switch k {
	case Image:
		return []string{"png", "jpeg"}
	case Speech:
		return []string{"mp3", "wav", "opus", "aac", "flac"}
	case Transcription:
	}
	return nil
}

// Models returns the models of a kind that can be used here, and those of
// providers that are not set up, in the providers' order.
func (s *Service) Models(k Kind) []string {
	var out []string
	for _, p := range s.providers {
		for _, m := range p.Models() {
			if m.Kind == k {
				out = append(out, p.Name()+"/"+m.Name)
			}
		}
	}
	return out
}

// usual is the model of a kind that is meant where none is named.
func (s *Service) usual(k Kind) string {
	if name := s.cfg.Usual[k]; name != "" {
		return name
	}
	demo := ""
	for _, p := range s.providers {
		for _, m := range p.Models() {
			if m.Kind != k {
				continue
			}
			if p.Configured() && !m.Demo {
				return p.Name() + "/" + m.Name
			}
			if m.Demo && demo == "" {
				demo = p.Name() + "/" + m.Name
			}
		}
	}
	return demo
}

// complete sets what was left out, and says everything that is wrong.
func complete(t target, r Request) (Request, error) {
	var found []fault.Detail
	find := func(field, message string, args ...any) {
		found = append(found, fault.Detail{Location: field, Message: fmt.Sprintf(message, args...)})
	}
	if r.Format == "" && len(t.Formats) > 0 {
		r.Format = t.Formats[0]
	}
	if len(t.Formats) > 0 && !slices.Contains(t.Formats, r.Format) {
		find("output_format", "%s answers in %s, not in %q", t.id(), strings.Join(t.Formats, ", "), r.Format)
	}
	switch r.Kind {
	case Image:
		if r.N = max(r.N, 1); r.N > MaxImages {
			find("n", "at most %d pictures are made at a time", MaxImages)
		}
		if r.AspectRatio == "" {
			r.AspectRatio = AspectRatios()[0]
		}
		if !slices.Contains(AspectRatios(), r.AspectRatio) {
			find("aspect_ratio", "must be one of %s", strings.Join(AspectRatios(), ", "))
		}
		if strings.TrimSpace(r.Prompt) == "" || len(r.Prompt) > MaxPrompt {
			find("prompt", "says what the picture shows, in at most %d bytes", MaxPrompt)
		}
	case Speech:
		if n := len([]rune(r.Text)); strings.TrimSpace(r.Text) == "" || n > MaxSpoken {
			find("text", "must be between 1 and %d characters, not %d: cut it and speak the parts", MaxSpoken, n)
		}
		if r.Speed != 0 && (r.Speed < 0.25 || r.Speed > 4) {
			find("speed", "must be between 0.25 and 4")
		}
		r.N = 1
	case Transcription:
		if len(r.Audio) == 0 || len(r.Audio) > MaxAudio {
			find("audio", "must be a recording of at most %d MiB", MaxAudio>>20)
		}
		r.N = 1
	default:
		return r, fmt.Errorf("media of kind %q", r.Kind)
	}
	if found != nil {
		return r, fault.InvalidInput(found...)
	}
	return r, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), ctx.Err())
	case <-timer.C:
		return nil
	}
}
