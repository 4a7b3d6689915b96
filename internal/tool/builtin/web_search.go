package builtin

import (
	"context"
	"fmt"
	"strings"

	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

type webSearchArgs struct {
	Query string `json:"query" jsonschema:"required,minLength=1,maxLength=1000" jsonschema_description:"What to look for, as keywords or a question."`
	Num   int    `json:"num,omitempty" jsonschema:"minimum=1,maximum=20" jsonschema_description:"How many results; 5 when left out."`
}

func webSearch(search Searcher) tool.Tool {
	t := tool.Define(tool.Spec{Name: "web_search", Title: "Web search", Category: "web", Risk: node.RiskLow, Needs: []string{"JINA_API_KEY"}, Limit: perMinute(60), Restrictions: []string{readsOnly},
		Description: "Searches the web. Answers titles, addresses and short descriptions; read a page with web_read to see more."},
		func(ctx context.Context, _ tool.Call, a webSearchArgs) (tool.Result, error) {
			if a.Num == 0 {
				a.Num = 5
			}
			found, err := search.Search(ctx, a.Query, a.Num)
			if err != nil {
				return tool.Result{}, err
			}
			var b strings.Builder
			for i, r := range found {
				fmt.Fprintf(&b, "%d. %s\n   %s\n   %s\n", i+1, r.Title, r.URL, r.Description)
			}
			if len(found) == 0 {
				b.WriteString("Nothing was found.")
			}
			return tool.Result{Text: b.String(), Value: map[string]any{"results": found}}, nil
		})
	if search != nil {
		t.Configured = search.Configured
	}
	return needs(t, search != nil, "web search")
}
