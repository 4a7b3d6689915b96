package mcp

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of a result, in bytes; what is over them is left out, and said so.
const (
	maxPart   = 1 << 20 // of one text or picture
	maxResult = 4 << 20 // of all
)

// Content is one part of a result.
type Content struct {
	Type     string `json:"type"` // text, image, audio, resource, resource_link
	Text     string `json:"text,omitempty"`
	Data     []byte `json:"data,omitempty"` // base64 in JSON
	MIMEType string `json:"mime_type,omitempty"`
	URI      string `json:"uri,omitempty"`
	Name     string `json:"name,omitempty"`
	// LeftOut is the size of what was too large to be kept.
	LeftOut int `json:"left_out_bytes,omitempty"`
}

// Result is what a tool answered.
type Result struct {
	Content    []Content `json:"content"`
	Structured any       `json:"structured,omitempty"`
	IsError    bool      `json:"is_error,omitempty"`
}

// bound leaves out what is too large.
func (r *Result) bound() {
	left := maxResult
	for i := range r.Content {
		c := &r.Content[i]
		most := min(maxPart, left)
		if len(c.Data) > most {
			c.LeftOut, c.Data = len(c.Data), nil
		}
		if len(c.Text) > most {
			c.LeftOut = len(c.Text)
			c.Text = clip(c.Text, most)
		}
		left -= len(c.Data) + len(c.Text)
	}
	if r.Structured == nil {
		return
	}
	if text, err := json.Marshal(r.Structured); err != nil || len(text) > maxResult {
		r.Structured = map[string]any{"left_out_bytes": len(text)}
	}
}

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// Text is the result as a model reads it: pictures and sounds are named.
func (r *Result) Text() string {
	var parts []string
	for _, c := range r.Content {
		switch {
		case c.Text != "" && c.LeftOut > 0:
			parts = append(parts, fmt.Sprintf("%s\n[cut: %d bytes in all]", c.Text, c.LeftOut))
		case c.Text != "":
			parts = append(parts, c.Text)
		case c.LeftOut > 0:
			parts = append(parts, fmt.Sprintf("[%s %s: %d bytes, too large to be kept]", c.Type, c.MIMEType, c.LeftOut))
		case c.Type == "resource_link":
			parts = append(parts, strings.TrimSpace(fmt.Sprintf("[%s %s]", c.Name, c.URI)))
		case len(c.Data) > 0:
			parts = append(parts, fmt.Sprintf("[%s %s: %d bytes]", c.Type, c.MIMEType, len(c.Data)))
		}
	}
	if len(parts) == 0 && r.Structured != nil {
		text, _ := json.Marshal(r.Structured) // it came as JSON
		return string(text)
	}
	return strings.Join(parts, "\n")
}

// Value is the result as the output of a node.
func (r *Result) Value() map[string]any {
	out := map[string]any{"text": r.Text(), "content": r.Content}
	if r.Structured != nil {
		out["structured"] = r.Structured
	}
	return out
}
