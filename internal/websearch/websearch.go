// Package websearch finds pages on the web through Jina's search.
package websearch

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"
)

// Result is one page found.
type Result struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	Description string `json:"description"`
	Content     string `json:"content,omitempty"`
	PublishedAt string `json:"published_at,omitempty"`
	Demo        bool   `json:"demo,omitempty"` // from the built-in library, not from the web
}

// Requester makes guarded HTTP requests.
type Requester interface {
	Do(ctx context.Context, in outbound.Request) (*outbound.Response, error)
}

// Searcher asks Jina. It is safe for concurrent use.
type Searcher struct {
	client Requester
	base   string
	key    string
}

// New returns a searcher; base is the address of the search service. Without
// a key every search fails as NotConfigured.
func New(client Requester, base, key string) *Searcher {
	return &Searcher{client: client, base: strings.TrimRight(base, "/"), key: key}
}

// Configured reports whether a key is set.
func (s *Searcher) Configured() bool { return s.key != "" }

// Search returns at most num pages, best first; num is between 1 and 20.
// NotConfigured: no key; Upstream, TooMany, Timeout: the service failed.
func (s *Searcher) Search(ctx context.Context, query string, num int) ([]Result, error) {
	if s.key == "" {
		return nil, fault.New(fault.NotConfigured, "web search needs a key: the operator sets JINA_API_KEY")
	}
	address := s.base + "/?" + url.Values{"q": {query}, "num": {strconv.Itoa(num)}}.Encode()
	header := http.Header{"Authorization": {"Bearer " + s.key}, "Accept": {"application/json"}, "X-Respond-With": {"no-content"}}
	answer, err := s.client.Do(ctx, outbound.Request{URL: address, Header: header, Timeout: 40 * time.Second})
	if err != nil {
		return nil, err
	}
	if err := outbound.Refusal("the web search", answer); err != nil {
		return nil, err
	}
	var body struct {
		Data []struct {
			Title, URL, Description, Content, Date string
		} `json:"data"`
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		return nil, fault.Wrap(fault.Upstream, err, "the web search answered something that is not JSON").WithCode("bad_response")
	}
	out := make([]Result, 0, num)
	for _, d := range body.Data {
		if len(out) < num {
			out = append(out, Result{Title: d.Title, URL: d.URL, Description: d.Description, Content: d.Content, PublishedAt: d.Date})
		}
	}
	return out, nil
}
