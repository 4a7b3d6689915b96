package file

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"agentstudio/internal/fault"

	"github.com/gabriel-vasile/mimetype"
)

// headBytes is how much of a content its type is found from.
const headBytes = 3072

// detect finds the type of a content from its beginning, whatever its name
// says, and returns a reader of all of it.
func detect(r io.Reader) (contentType string, whole io.Reader, err error) {
	head := make([]byte, headBytes)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", nil, err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if n == 0 {
			return "text/plain; charset=utf-8", bytes.NewReader(nil), nil
		}
		return mimetype.Detect(head[:n]).String(), bytes.NewReader(head[:n]), nil
	}
	return mimetype.Detect(head[:n]).String(), io.MultiReader(bytes.NewReader(head[:n]), r), nil
}

// allowed reports whether a type is one of the patterns: application/pdf,
// image/*, or *.
func allowed(patterns []string, contentType string) bool {
	bare, _, _ := strings.Cut(contentType, ";")
	for _, p := range patterns {
		if start, wide := strings.CutSuffix(p, "*"); p == bare || wide && strings.HasPrefix(bare, start) {
			return true
		}
	}
	return false
}

func (s *Service) checkType(contentType string) error {
	if len(s.cfg.Types) == 0 || allowed(s.cfg.Types, contentType) {
		return nil
	}
	return fault.New(fault.Invalid, "the content is of the type %s, which may not be uploaded here; allowed are %s", contentType, strings.Join(s.cfg.Types, ", ")).WithCode("type_not_allowed")
}
