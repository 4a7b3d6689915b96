package builtin

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

type databaseQueryConfig struct {
	Credential string `json:"credential" jsonschema:"required,title=Database,minLength=1,maxLength=100" jsonschema_description:"Name of a database that the operator has opened to the workspace."`
	SQL        string `json:"sql" jsonschema:"required,title=Statement,minLength=1,maxLength=20000" jsonschema_description:"One statement. Values stand in the parameters: $1, $2 on PostgreSQL, ? elsewhere." jsonschema_extras:"widget=code,literal=true"`
	Params     []any  `json:"params,omitempty" jsonschema:"title=Parameters,maxItems=100" jsonschema_description:"Texts, numbers, true, false or null, in order."`
	Write      bool   `json:"write,omitempty" jsonschema:"title=Changes something" jsonschema_description:"Without it the database keeps the statement from writing."`
	MaxRows    int    `json:"max_rows,omitempty" jsonschema:"title=Rows at most,minimum=1,maximum=10000" jsonschema_description:"100 when left out."`
	TimeoutMS  int    `json:"timeout_ms,omitempty" jsonschema:"title=Milliseconds at most,minimum=100,maximum=300000" jsonschema_description:"30,000 when left out."`
	OnCrash    string `json:"on_crash,omitempty" jsonschema:"title=When a process died during a change,enum=ask,enum=repeat,enum=fail,default=ask"`
}

// Check keeps values out of the statement.
func (c databaseQueryConfig) Check() []fault.Detail {
	if !strings.Contains(c.SQL, "{{") {
		return nil
	}
	return []fault.Detail{{Location: "sql", Code: "value_in_statement", Message: "a statement holds no expressions: write $1 or ? there, and the expression into params"}}
}

func databaseQuery(tools Tools, gate *tool.Gate, now func() time.Time) node.Type {
	return node.Define(node.Spec{
		Kind: "database-query", Title: "Database", Group: node.Integration, Category: "data", Icon: "database",
		Description: "Reads rows from a database, or changes them.",
		Effect:      true, Risk: node.RiskHigh, Timeout: 6 * time.Minute, Needs: []string{"STUDIO_DATABASES"},
		Docs: `Runs one statement on PostgreSQL, MySQL, MariaDB or SQLite. Which databases there are, and whether they may be changed, the operator says in ` + "`STUDIO_DATABASES`" + `.

Answers ` + "`{columns, rows, truncated}`" + `; a change ` + "`affected`" + ` too. A change is one transaction, kept whole or not at all. When nobody knows whether it was kept, because the connection broke or the process died, it is not made again in silence: the node fails with the code ` + "`unknown_outcome`" + `, or asks, as ` + "`on_crash`" + ` says.

` + "```yaml" + `
config: {credential: shop, sql: "UPDATE orders SET state = $1 WHERE id = $2", params: [paid, "{{ trigger.id }}"], write: true}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg databaseQueryConfig) (node.Result, error) {
		if tools == nil {
			return node.Result{}, fault.New(fault.NotConfigured, "this studio has no tools")
		}
		name, args := "database_query", map[string]any{"credential": cfg.Credential, "sql": cfg.SQL}
		if cfg.Write {
			name = "database_write"
		}
		if len(cfg.Params) > 0 {
			args["params"] = cfg.Params
		}
		if cfg.MaxRows > 0 {
			args["max_rows"] = cfg.MaxRows
		}
		if cfg.TimeoutMS > 0 {
			args["timeout_ms"] = cfg.TimeoutMS
		}
		t, err := tools.Find(ctx, c.WorkspaceID, name)
		if err != nil {
			return node.Result{}, err
		}
		text, err := json.Marshal(args)
		if err != nil {
			return node.Result{}, fault.Wrap(fault.Invalid, err, "the parameters cannot be written as JSON")
		}
		if err := tools.Fits(t, text); err != nil {
			return node.Result{}, err
		}
		return toolCall{Call: c, tool: t, args: text, onCrash: orDefault(cfg.OnCrash, "ask"), gate: gate, now: now}.once(ctx)
	})
}
