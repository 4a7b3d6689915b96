package config

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// mask is what every secret prints as.
const mask = "••••"

// Secret is a value that prints as dots wherever it goes; Reveal returns it.
type Secret string

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Rate is how many of something may happen in a span of time. The zero Rate
// does not limit.
type Rate struct {
	Requests int
	Per      time.Duration
}

// UnmarshalText reads "100/1h", "5/15m", "10/s" or "off".
func (r *Rate) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "off" || s == "" {
		*r = Rate{}
		return nil
	}
	count, span, ok := strings.Cut(s, "/")
	if span != "" && (span[0] < '0' || span[0] > '9') {
		span = "1" + span // "10/s"; "-5s" stays none
	}
	n, err := strconv.Atoi(count)
	per, err2 := time.ParseDuration(span)
	if !ok || err != nil || err2 != nil || n < 1 || per <= 0 {
		return fmt.Errorf("%q is not a rate such as 100/1h, 5/15m, or off", s)
	}
	*r = Rate{Requests: n, Per: per}
	return nil
}

// String is what UnmarshalText reads.
func (r Rate) String() string {
	if r.Requests == 0 {
		return "off"
	}
	span := r.Per.String() // "1h0m0s"
	span = strings.TrimSuffix(span, "0s")
	if rest, ok := strings.CutSuffix(span, "h0m"); ok {
		span = rest + "h"
	}
	return strconv.Itoa(r.Requests) + "/" + span
}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
