// Package webread turns a page on the web into text a model can read: through
// Jina's reader where a key is set, else by fetching it and keeping the
// article.
package webread

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"

	"codeberg.org/readeck/go-readability/v2"
	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"golang.org/x/net/html/charset"
)

// Page is what was read.
type Page struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	Content     string `json:"content"` // Markdown
	Description string `json:"description"`
	PublishedAt string `json:"published_at,omitempty"`
	Demo        bool   `json:"demo,omitempty"` // from the built-in library, not from the web
}

// Requester makes guarded HTTP requests.
type Requester interface {
	Do(ctx context.Context, in outbound.Request) (*outbound.Response, error)
}

// Reader reads pages. It is safe for concurrent use.
type Reader struct {
	client Requester
	base   string
	key    string
}

// maxContent bounds the text of a page, in bytes.
const maxContent = 400_000

// New returns a reader; base is the address of Jina's reader, which is used
// only with a key.
func New(client Requester, base, key string) *Reader {
	return &Reader{client: client, base: strings.TrimRight(base, "/"), key: key}
}

// Read returns a page as Markdown. When the service fails, the page is fetched
// directly. Faults are those of outbound.Client.Do, and Invalid for what is no
// text.
func (r *Reader) Read(ctx context.Context, address string) (Page, error) {
	if r.key != "" {
		page, err := r.jina(ctx, address)
		if err == nil || ctx.Err() != nil {
			return page, err
		}
	}
	return r.fetch(ctx, address)
}

func (r *Reader) jina(ctx context.Context, address string) (Page, error) {
	header := http.Header{"Authorization": {"Bearer " + r.key}, "Accept": {"application/json"}}
	answer, err := r.client.Do(ctx, outbound.Request{URL: r.base + "/" + address, Header: header, Timeout: 40 * time.Second})
	if err != nil {
		return Page{}, err
	}
	if err := outbound.Refusal("the page reader", answer); err != nil {
		return Page{}, err
	}
	var body struct {
		Data struct {
			Title, URL, Content, Description, PublishedTime string
		} `json:"data"`
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil || body.Data.Content == "" {
		return Page{}, fault.Wrap(fault.Upstream, err, "the page reader answered something that cannot be read").WithCode("bad_response")
	}
	d := body.Data
	return Page{Title: d.Title, URL: d.URL, Content: clip(d.Content), Description: d.Description, PublishedAt: d.PublishedTime}, nil
}

func (r *Reader) fetch(ctx context.Context, address string) (Page, error) {
	answer, err := r.client.Do(ctx, outbound.Request{URL: address, Header: http.Header{"Accept": {"text/html,text/plain,application/json;q=0.8,*/*;q=0.1"}}})
	if err != nil {
		return Page{}, err
	}
	u, err := url.Parse(answer.URL)
	if err != nil {
		return Page{}, fault.New(fault.Invalid, "%q is not an address", answer.URL)
	}
	if err := outbound.Refusal(u.Host, answer); err != nil {
		return Page{}, err
	}
	contentType := answer.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media, _, _ = mime.ParseMediaType(http.DetectContentType(answer.Body)) // always well-formed
	}
	text, err := charset.NewReader(bytes.NewReader(answer.Body), contentType)
	if err != nil {
		return Page{}, fault.Wrap(fault.Invalid, err, "the page at %s is written in an encoding that is not known", u.Host)
	}
	var decoded bytes.Buffer
	if _, err := decoded.ReadFrom(text); err != nil {
		return Page{}, fault.Wrap(fault.Invalid, err, "the page at %s is not text", u.Host)
	}
	switch {
	case media == "text/html", media == "application/xhtml+xml":
		return article(decoded.Bytes(), u)
	case strings.HasPrefix(media, "text/"), strings.HasSuffix(media, "json"), strings.HasSuffix(media, "xml"):
		return Page{Title: u.String(), URL: u.String(), Content: clip(decoded.String())}, nil
	}
	return Page{}, fault.New(fault.Invalid, "%s is of type %s, which is not text", u.Host, media)
}

// article keeps what a reader came for; the whole page where nothing stands out.
func article(text []byte, u *url.URL) (Page, error) {
	page := Page{Title: u.String(), URL: u.String()}
	found, err := readability.FromReader(bytes.NewReader(text), u)
	var body bytes.Buffer
	if err == nil && found.Node != nil {
		if found.Title() != "" {
			page.Title = found.Title()
		}
		page.Description = found.Excerpt()
		if at, err := found.PublishedTime(); err == nil {
			page.PublishedAt = at.UTC().Format(time.RFC3339)
		}
		err = found.RenderHTML(&body)
	}
	if err != nil || body.Len() == 0 {
		body.Reset()
		body.Write(text)
	}
	conv := converter.NewConverter(converter.WithPlugins(base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), table.NewTablePlugin()))
	markdown, err := conv.ConvertString(body.String(), converter.WithDomain(u.Scheme+"://"+u.Host))
	if err != nil {
		return Page{}, fault.Wrap(fault.Invalid, err, "the page at %s cannot be read as HTML", u.Host)
	}
	page.Content = clip(strings.TrimSpace(markdown))
	return page, nil
}

func clip(s string) string {
	if len(s) <= maxContent {
		return s
	}
	return strings.ToValidUTF8(s[:maxContent], "") + "\n\n[the page goes on]"
}
