// Package outbound makes HTTP requests that a user or a model can steer. It
// refuses addresses inside private networks at the moment of connecting, so
// that neither a redirect nor a name that changes its mind slips through.
package outbound

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"agentstudio/internal/fault"
)

// Config adjusts a Client; zero values are useful.
type Config struct {
	// Allow lists what may be reached inside private networks: host:port pairs,
	// IP addresses or CIDR ranges.
	Allow        []string
	Timeout      time.Duration // of a whole request; 30 s
	MaxBody      int64         // bytes of an answer; 10 MiB
	MaxRedirects int           // 5
	UserAgent    string
	// Resolver finds the addresses of names; nil: the system's.
	Resolver *net.Resolver
	// Limits say how often hosts may be called and credentials used, by all
	// processes that Limiter counts for. nil: this process.
	Limits  []Limit
	Limiter Limiter
	Log     *slog.Logger
	// Waited hears of each call that had to wait for its turn, or was sent away
	// because that was too far off. nil: nobody counts.
	Waited func(refused bool)
}

// Client is the guarded client. It is safe for concurrent use.
type Client struct {
	cfg       Config
	transport *http.Transport
	guard     *guard
	limits    *limits
}

// Request is one request. Timeout and MaxBody replace the client's when set.
type Request struct {
	Method  string // "" means GET
	URL     string
	Header  http.Header
	Body    []byte
	Timeout time.Duration
	MaxBody int64
	// Credential is the name of the credential the request is made with, for its
	// limit; may be empty.
	Credential string
	// NoRedirects answers the redirect itself instead of following it.
	NoRedirects bool
}

// Response is an answer, read whole.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	URL    string // after redirects
}

// New returns a client. An entry of Allow that is neither address, range nor
// host:port is an error.
func New(cfg Config) (*Client, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 10 << 20
	}
	if cfg.MaxRedirects <= 0 {
		cfg.MaxRedirects = 5
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "AgentStudio/1 (+https://agentstudio.dev)"
	}
	guard, err := newGuard(cfg.Allow, cfg.Resolver)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 nil, // a proxy would be dialled in place of the address that was checked
		DialContext:           guard.dial,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: cfg.Timeout,
		MaxIdleConnsPerHost:   8,
		MaxConnsPerHost:       64,
		IdleConnTimeout:       time.Minute,
		ForceAttemptHTTP2:     true,
	}
	return &Client{cfg: cfg, transport: transport, guard: guard, limits: newLimits(cfg)}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Dial connects under the same rules as requests: what is inside a private
// network is refused (Invalid, code "address_refused") unless it is allowed.
func (c *Client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.guard.dial(ctx, network, address)
}

// Do sends a request and reads the whole answer, whatever its status.
// Invalid: the URL cannot be used or its address is refused (code
// "address_refused"); TooLarge: the answer is over the bound; Timeout;
// Upstream: the connection failed; TooMany (code "outbound_limit"): its turn
// under the operator's limits is too far off. The wait for a turn is no part of
// the time-out, but ends with ctx.
func (c *Client) Do(ctx context.Context, in Request) (*Response, error) {
	timeout := c.cfg.Timeout
	if in.Timeout > 0 {
		timeout = in.Timeout
	}
	req, err := c.request(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := c.turn(ctx, req.URL, in.Credential); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req = req.WithContext(ctx)
	client := http.Client{Transport: c.transport, CheckRedirect: c.redirects(in)}
	answer, err := client.Do(req)
	if err != nil {
		return nil, explain(req.URL, timeout, err)
	}
	defer answer.Body.Close()
	limit := c.cfg.MaxBody
	if in.MaxBody > 0 {
		limit = in.MaxBody
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return nil, explain(req.URL, timeout, err)
	}
	if int64(len(body)) > limit {
		return nil, fault.New(fault.TooLarge, "the answer of %s is over %s", req.URL.Host, size(limit))
	}
	return &Response{Status: answer.StatusCode, Header: answer.Header, Body: body, URL: answer.Request.URL.String()}, nil
}

func (c *Client) request(ctx context.Context, in Request) (*http.Request, error) {
	u, err := url.Parse(strings.TrimSpace(in.URL))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.New(fault.Invalid, "%q is not an address that starts with http:// or https://", in.URL)
	}
	method := in.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(in.Body))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the request to %s cannot be made", u.Host)
	}
	for name, values := range in.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", c.cfg.UserAgent)
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	return req, nil
}

func (c *Client) redirects(in Request) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		if in.NoRedirects {
			return http.ErrUseLastResponse
		}
		if len(via) > c.cfg.MaxRedirects {
			return fault.New(fault.Invalid, "%s redirects more than %d times", via[0].URL.Host, c.cfg.MaxRedirects)
		}
		if next.URL.Scheme != "http" && next.URL.Scheme != "https" {
			return fault.New(fault.Invalid, "%s redirects to an address that is not http", via[0].URL.Host)
		}
		return c.turn(next.Context(), next.URL, in.Credential)
	}
}

// explain turns a transport error into a fault that names the host only: paths
// and queries may hold secrets.
func explain(u *url.URL, timeout time.Duration, err error) error {
	if f := fault.As(err); f != nil {
		return f
	}
	var netError net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Wrap(fault.Cancelled, err, "the request to %s was cut off", u.Host)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netError) && netError.Timeout():
		return fault.Wrap(fault.Timeout, err, "%s did not answer within %s", u.Host, timeout)
	}
	return fault.Wrap(fault.Upstream, err, "no connection to %s: %s", u.Host, reason(err)).WithCode("connection")
}

// reason is the innermost cause, which names no path.
func reason(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return "the name is not known"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func size(n int64) string {
	if n >= 1<<20 {
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
