package fault_test

import (
	"testing"
	"time"

	"agentstudio/internal/fault"
)

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	for text, want := range map[string]time.Duration{"7": 7 * time.Second, " 0.05 ": 50 * time.Millisecond, "-1": 0, "soon": 0, "": 0, "NaN": 0, "1e300": 0,
		"Mon, 02 Jan 2006 15:04:05 GMT": 0} {
		if got := fault.ParseRetryAfter(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	at := time.Now().Add(time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	if got := fault.ParseRetryAfter(at); got < 59*time.Minute || got > time.Hour {
		t.Errorf("%q: got %s", at, got)
	}
}
