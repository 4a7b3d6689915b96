package demo_test

import (
	"strings"
	"testing"

	"agentstudio/internal/demo"
	"agentstudio/internal/fault"
)

func TestLibraryFindsWhatFitsBest(t *testing.T) {
	l := demo.New()
	if got := l.Search("How do bees decide?", 2); len(got) != 2 || got[0].URL != "demo://library/bees" || got[0].Description == "" {
		t.Errorf("got %+v", got)
	}
	if got := l.Search("zzz", 100); len(got) < 5 {
		t.Errorf("only %d pages", len(got))
	}
	p, err := l.Read("demo://library/tides")
	if err != nil || !strings.Contains(p.Content, "moon") {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := l.Read("demo://library/none"); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}
