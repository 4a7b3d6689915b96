package builtin

import (
	"context"
	"time"

	"agentstudio/internal/demo"
	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/websearch"
)

// Searcher finds pages on the web.
type Searcher interface {
	Configured() bool
	Search(ctx context.Context, query string, num int) ([]websearch.Result, error)
}

type webSearchConfig struct {
	Query   string `json:"query" jsonschema:"required,title=Query,minLength=1,maxLength=1000"`
	Num     int    `json:"num,omitempty" jsonschema:"title=Results,minimum=1,maximum=20,default=5"`
	Offline string `json:"offline,omitempty" jsonschema:"title=Without a key,enum=fail,enum=demo,default=fail" jsonschema_description:"demo answers from a small built-in library when no search key is set, and says so."`
}

func webSearch(search Searcher, library *demo.Library) node.Type {
	return node.Define(node.Spec{
		Kind: "web-search", Title: "Web search", Group: node.Integration, Category: "web", Icon: "search",
		Description: "Finds pages on the web.",
		Outside:     true, Risk: node.RiskLow, Timeout: time.Minute, Needs: []string{"JINA_API_KEY"},
		Docs: `Answers ` + "`{results: [{title, url, description, published_at?}]}`" + `, best first. Needs the key of Jina's search; with ` + "`offline: demo`" + ` it answers from a few built-in pages when there is none, marked ` + "`demo: true`" + `.

` + "```yaml" + `
config: {query: "{{ trigger.topic }}", num: 3}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg webSearchConfig) (node.Result, error) {
		num := cfg.Num
		if num == 0 {
			num = 5
		}
		if (search == nil || !search.Configured()) && cfg.Offline == "demo" && library != nil {
			c.Log("warn", "no search key is set: these results come from the built-in demo library", nil)
			return node.Output("", demoResults(library.Search(cfg.Query, num))), nil
		}
		if search == nil {
			return node.Result{}, fault.New(fault.NotConfigured, "this studio has no web search")
		}
		found, err := search.Search(ctx, cfg.Query, num)
		if err != nil {
			return node.Result{}, err
		}
		results := make([]any, len(found))
		for i, r := range found {
			results[i] = map[string]any{"title": r.Title, "url": r.URL, "description": r.Description}
			if r.PublishedAt != "" {
				results[i].(map[string]any)["published_at"] = r.PublishedAt
			}
		}
		return node.Output("", map[string]any{"results": results}), nil
	})
}

func demoResults(pages []demo.Page) map[string]any {
	results := make([]any, len(pages))
	for i, p := range pages {
		results[i] = map[string]any{"title": p.Title, "url": p.URL, "description": p.Description, "demo": true}
	}
	return map[string]any{"results": results, "demo": true}
}
