package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"agentstudio/internal/database"
	"agentstudio/internal/limit"
	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

// Databases are those that an operator lets workspaces reach.
type Databases interface {
	// Configured reports whether there are any, Writable whether one may be
	// changed.
	Configured() bool
	Writable() bool
	// Query asks the database of a credential; the query's URL is empty.
	// NotFound: the workspace has no such database. Forbidden: it may not change it.
	Query(ctx context.Context, workspaceID, credential string, q database.Query) (*database.Answer, error)
}

type databaseQueryArgs struct {
	Credential string `json:"credential" jsonschema:"required,minLength=1,maxLength=100" jsonschema_description:"Name of the database."`
	SQL        string `json:"sql" jsonschema:"required,minLength=1,maxLength=20000" jsonschema_description:"One statement. Values stand in params: $1, $2 on PostgreSQL, ? elsewhere."`
	Params     []any  `json:"params,omitempty" jsonschema:"maxItems=100" jsonschema_description:"The values, in order: texts, numbers, true, false or null."`
	MaxRows    int    `json:"max_rows,omitempty" jsonschema:"minimum=1,maximum=10000" jsonschema_description:"Rows at most; 100 when left out."`
	TimeoutMS  int    `json:"timeout_ms,omitempty" jsonschema:"minimum=100,maximum=300000" jsonschema_description:"Time limit; 30,000 when left out."`
}

// openedDatabases is a restriction.
const openedDatabases = "Only databases that the operator has opened to the workspace."

func databaseQuery(databases Databases) tool.Tool {
	t := tool.Define(tool.Spec{Name: "database_query", Title: "Query a database", Category: "data", Risk: node.RiskMedium, Needs: []string{"STUDIO_DATABASES"}, Limit: perMinute(120),
		Restrictions: []string{readsOnly, openedDatabases, fmt.Sprintf("%d rows and %s at most.", database.MaxRows, limit.Spoken(database.MaxTime))},
		Description:  "Reads rows from a database. It cannot change anything there."},
		func(ctx context.Context, call tool.Call, a databaseQueryArgs) (tool.Result, error) {
			return askDatabase(ctx, databases, call, a, false)
		})
	if databases != nil {
		t.Configured = databases.Configured
	}
	return needs(t, databases != nil, "databases")
}

func databaseWrite(databases Databases) tool.Tool {
	t := tool.Define(tool.Spec{Name: "database_write", Title: "Change a database", Category: "data", Risk: node.RiskHigh, Effect: true, Needs: []string{"STUDIO_DATABASES"}, Limit: perMinute(60),
		Restrictions: []string{openedDatabases, "Only where the operator says :write; one statement at a time.", fmt.Sprintf("%s at most.", limit.Spoken(database.MaxTime))},
		Description:  "Runs one statement that changes rows of a database, in a transaction: whole or not at all."},
		func(ctx context.Context, call tool.Call, a databaseQueryArgs) (tool.Result, error) {
			return askDatabase(ctx, databases, call, a, true)
		})
	if databases != nil {
		t.Configured = databases.Writable
	}
	return needs(t, databases != nil, "databases")
}

func askDatabase(ctx context.Context, databases Databases, call tool.Call, a databaseQueryArgs, write bool) (tool.Result, error) {
	if err := database.CheckParams(a.Params); err != nil {
		return tool.Result{}, err
	}
	answer, err := databases.Query(ctx, call.WorkspaceID, a.Credential, database.Query{SQL: a.SQL, Params: a.Params, MaxRows: a.MaxRows, Timeout: time.Duration(a.TimeoutMS) * time.Millisecond, Write: write})
	if err != nil {
		return tool.Result{}, err
	}
	if answer.Affected != nil {
		return tool.Result{Text: fmt.Sprintf("%d rows were changed.", *answer.Affected), Value: answer}, nil
	}
	text, err := json.Marshal(answer.Rows)
	if err != nil {
		return tool.Result{}, err
	}
	said := fmt.Sprintf("%d rows: %s", len(answer.Rows), clip(string(text), readable))
	if answer.Truncated {
		said = "There are more than the first " + said
	}
	return tool.Result{Text: said, Value: answer}, nil
}
