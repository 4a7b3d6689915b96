package builtin

import (
	"context"
	"strings"
	"time"

	"agentstudio/internal/demo"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/webread"
)

// PageReader reads pages on the web.
type PageReader interface {
	Read(ctx context.Context, address string) (webread.Page, error)
}

type webReadConfig struct {
	URL string `json:"url" jsonschema:"required,title=URL,minLength=1"`
}

func webRead(reader PageReader, library *demo.Library) node.Type {
	return node.Define(node.Spec{
		Kind: "web-read", Title: "Read a page", Group: node.Integration, Category: "web", Icon: "book-open",
		Description: "Reads a page on the web as Markdown.",
		Outside:     true, Risk: node.RiskLow, Timeout: 90 * time.Second,
		Docs: `Answers ` + "`{title, url, content, description, published_at?}`" + `; the content is the article without menus and advertisements, as Markdown. Addresses inside private networks are refused.

` + "```yaml" + `
config: {url: "{{ item.url }}"}
` + "```",
	}, func(ctx context.Context, _ node.Call, cfg webReadConfig) (node.Result, error) {
		if library != nil && strings.HasPrefix(cfg.URL, demo.Scheme) {
			p, err := library.Read(cfg.URL)
			return node.Output("", map[string]any{"title": p.Title, "url": p.URL, "content": p.Content, "description": p.Description, "demo": true}), err
		}
		if reader == nil {
			return node.Result{}, fault.New(fault.NotConfigured, "this studio has no page reader")
		}
		p, err := reader.Read(ctx, cfg.URL)
		if err != nil {
			return node.Result{}, err
		}
		out := map[string]any{"title": p.Title, "url": p.URL, "content": p.Content, "description": p.Description}
		if p.PublishedAt != "" {
			out["published_at"] = p.PublishedAt
		}
		return node.Output("", out), nil
	})
}
