package limit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/limit"
	"agentstudio/internal/limit/limittest"
)

func TestConformance(t *testing.T) {
	l := limit.NewLocal(time.Now)
	limittest.Run(t, l, l)
}

func TestLocalLimiterCountsEvenly(t *testing.T) {
	now := time.Unix(0, 0)
	l := limit.NewLocal(func() time.Time { return now })
	rate := limit.Rate{Requests: 3, Per: time.Minute}
	take := func(key string) limit.Verdict {
		v, err := l.Take(context.Background(), key, rate)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for left := 2; left >= 0; left-- {
		if v := take("a"); !v.Allowed || v.Remaining != left {
			t.Fatalf("got %+v, want %d left", v, left)
		}
	}
	if v := take("a"); v.Allowed || v.Retry != 20*time.Second {
		t.Fatalf("got %+v, want a refusal for 20 s", v)
	}
	if v := take("b"); !v.Allowed {
		t.Fatal("another key is refused")
	}
	now = now.Add(20 * time.Second)
	if v := take("a"); !v.Allowed {
		t.Fatal("still refused after a third of the time")
	}
	for i := range 250_000 {
		take(strings.Repeat("x", i%7) + time.Duration(i).String())
	}
	if !take("fresh").Allowed {
		t.Fatal("a flood of keys refuses others")
	}
}

func TestAnEvenRateHoldsInEveryStretch(t *testing.T) {
	for _, rate := range []limit.Rate{{Requests: 1, Per: time.Second}, {Requests: 2, Per: time.Second}, {Requests: 10, Per: time.Second},
		{Requests: 100, Per: time.Minute}, {Requests: 1000, Per: time.Hour}} {
		now := time.Unix(0, 0)
		l := limit.NewLocal(func() time.Time { return now })
		even := rate.Even()
		var sent []time.Time
		for range 40 * rate.Requests { // as fast as it goes, with a rest now and then
			v, err := l.Take(t.Context(), "k", even)
			if err != nil {
				t.Fatal(err)
			}
			if !v.Allowed {
				now = now.Add(v.Retry)
				if len(sent)%(rate.Requests+3) == 0 {
					now = now.Add(rate.Per / 3)
				}
				continue
			}
			sent = append(sent, now)
			if first := len(sent) - 1 - rate.Requests; first >= 0 && now.Sub(sent[first]) < rate.Per {
				t.Fatalf("%+v: %d within %s", rate, rate.Requests+1, now.Sub(sent[first]))
			}
		}
		if want := 9 * rate.Requests; len(sent) < want {
			t.Errorf("%+v: only %d went", rate, len(sent))
		}
	}
}
