package outbound_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
	"agentstudio/internal/outbound"
)

// asked is a limiter that notes what it is asked and allows everything.
type asked struct {
	mu   sync.Mutex
	keys []string
}

func (a *asked) Take(_ context.Context, key string, r limit.Rate) (limit.Verdict, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = append(a.keys, key)
	return limit.Verdict{Allowed: true}, nil
}

func TestTheMostExactPatternCounts(t *testing.T) {
	rate := limit.Rate{Requests: 1, Per: time.Second}
	for host, want := range map[string]string{
		"api.example.com": "host:api.example.com", "API.Example.com.": "host:api.example.com", "www.example.com": "host:*.example.com",
		"a.deep.example.com": "host:*.deep.example.com", "example.com": "host:*", "free.example.com": "", "example.com.evil.test": "host:*",
		"xn--bcher-kva.test": "host:xn--bcher-kva.test", "bücher.test": "host:xn--bcher-kva.test", "127.0.0.1": "host:127.0.0.1", "[::1]": "host:::1",
	} {
		a := &asked{}
		c := client(t, outbound.Config{Limiter: a, Limits: []outbound.Limit{{Host: "*", Rate: rate}, {Host: "*.Example.com", Rate: rate}, {Host: "*.deep.example.com", Rate: rate},
			{Host: "api.example.com", Rate: rate}, {Host: "free.example.com"}, {Host: "bücher.test", Rate: rate}, {Host: "127.0.0.1", Rate: rate}, {Host: "::1", Rate: rate}}})
		if err := c.Turn(t.Context(), "https://"+host+":8443/x", ""); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(strings.Join(a.keys, " "), "outbound:", ""); got != want {
			t.Errorf("%s counts as %q, want %q", host, got, want)
		}
	}
}

func TestRequestsCountForTheirHostTheirCredentialAndWhereTheyAreSentOn(t *testing.T) {
	other, _ := server(t, func(http.ResponseWriter, *http.Request) {})
	other = strings.Replace(other, "127.0.0.1", "localhost", 1)
	url, _ := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, http.StatusFound) })
	a := &asked{}
	rate := limit.Rate{Requests: 1, Per: time.Second}
	c := client(t, outbound.Config{Allow: []string{"127.0.0.0/8", "::1"}, Limiter: a, Limits: []outbound.Limit{{Host: "127.0.0.1", Rate: rate}, {Host: "localhost", Rate: rate}, {Credential: "crm", Rate: rate}}})
	if _, err := c.Do(t.Context(), outbound.Request{URL: url, Credential: "crm"}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(a.keys, " "); got != "outbound:host:127.0.0.1 outbound:credential:crm outbound:host:localhost outbound:credential:crm" {
		t.Errorf("got %s", got)
	}
}

func TestACallWaitsForItsTurnOrIsToldWhenToComeBack(t *testing.T) {
	var came atomic.Int32
	url, host := server(t, func(http.ResponseWriter, *http.Request) { came.Add(1) })
	var waits, refusals atomic.Int32
	limited := func(requests int, per time.Duration) *outbound.Client {
		return client(t, outbound.Config{Allow: []string{host}, Limits: []outbound.Limit{{Host: "127.0.0.1", Rate: limit.Rate{Requests: requests, Per: per}}},
			Waited: func(refused bool) {
				if refused {
					refusals.Add(1)
				} else {
					waits.Add(1)
				}
			}})
	}
	c := limited(1, 200*time.Millisecond)
	began := time.Now()
	for range 3 {
		// The time-out of the request does not run while it waits.
		if _, err := c.Do(t.Context(), outbound.Request{URL: url, Timeout: 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 400*time.Millisecond || waits.Load() != 2 {
		t.Errorf("three calls took %s with %d waits", took, waits.Load())
	}

	c = limited(1, time.Hour)
	if _, err := c.Do(t.Context(), outbound.Request{URL: url}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Do(t.Context(), outbound.Request{URL: url + "/secret"})
	wantFault(t, err, fault.TooMany, "this studio may call "+host+" 1 time in 1h only, and the next turn is in")
	if f := fault.As(err); f.Code != "outbound_limit" || f.RetryAfter < 59*time.Minute || strings.Contains(f.Message, "secret") || refusals.Load() != 1 {
		t.Errorf("got %+v, %d refusals", f, refusals.Load())
	}

	c = limited(1, 5*time.Second) // short enough to wait for, but not for who has less time
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := c.Do(ctx, outbound.Request{URL: url}); err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(ctx, outbound.Request{URL: url})
	wantFault(t, err, fault.TooMany, "1 time in 5s only")
	if came.Load() != 5 {
		t.Errorf("%d calls arrived", came.Load())
	}
}

func TestCancelEndsTheWaitForATurn(t *testing.T) {
	url, host := server(t, func(http.ResponseWriter, *http.Request) {})
	ctx, cancel := context.WithCancel(t.Context())
	c := client(t, outbound.Config{Allow: []string{host}, Limits: []outbound.Limit{{Host: "127.0.0.1", Rate: limit.Rate{Requests: 1, Per: 25 * time.Second}}},
		Waited: func(bool) { cancel() }})
	if _, err := c.Do(ctx, outbound.Request{URL: url}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err := c.Do(ctx, outbound.Request{URL: url})
	wantFault(t, err, fault.Cancelled, "cut off")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// broken is a limiter whose server is gone.
type broken struct{}

func (broken) Take(context.Context, string, limit.Rate) (limit.Verdict, error) {
	return limit.Verdict{}, errors.New("gone")
}

func TestAProcessCountsAloneWhileTheLimiterFails(t *testing.T) {
	url, host := server(t, func(http.ResponseWriter, *http.Request) {})
	c := client(t, outbound.Config{Allow: []string{host}, Limiter: broken{}, Limits: []outbound.Limit{{Host: "127.0.0.1", Rate: limit.Rate{Requests: 1, Per: time.Hour}}}})
	if _, err := c.Do(t.Context(), outbound.Request{URL: url}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Do(t.Context(), outbound.Request{URL: url})
	wantFault(t, err, fault.TooMany, "1 time in 1h")
}
