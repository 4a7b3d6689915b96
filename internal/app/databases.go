package app

import (
	"context"
	"slices"

	"agentstudio/internal/config"
	"agentstudio/internal/database"
	"agentstudio/internal/fault"
	"agentstudio/internal/outbound"
)

// databases are those an operator lets workspaces reach.
type databases struct {
	listed []config.Database
	client *database.Client
	web    *outbound.Client
}

func newDatabases(cfg *config.Config, web *outbound.Client) (*databases, error) {
	listed, err := cfg.OpenDatabases()
	return &databases{listed: listed, client: database.New(web), web: web}, err
}

// Configured implements builtin.Databases.
func (d *databases) Configured() bool { return len(d.listed) > 0 }

// Writable implements builtin.Databases.
func (d *databases) Writable() bool {
	return slices.ContainsFunc(d.listed, func(l config.Database) bool { return l.Write })
}

// Query implements builtin.Databases.
func (d *databases) Query(ctx context.Context, workspaceID, credential string, q database.Query) (*database.Answer, error) {
	may := func(write bool) bool {
		return slices.ContainsFunc(d.listed, func(l config.Database) bool {
			return l.Credential == credential && (l.WorkspaceID == "" || l.WorkspaceID == workspaceID) && (l.Write || !write)
		})
	}
	if !may(false) {
		return nil, fault.New(fault.NotFound, "this workspace has no database %q: the operator lists it in STUDIO_DATABASES", credential)
	}
	if q.Write && !may(true) {
		return nil, fault.New(fault.Forbidden, "this workspace may only read from the database %q: the operator lets it be changed with %s:write in STUDIO_DATABASES", credential, credential).WithCode("read_only")
	}
	secret, err := webhookSecret(ctx, workspaceID, credential)
	if err != nil {
		return nil, err
	}
	if err := d.web.Turn(ctx, "", credential); err != nil {
		return nil, err
	}
	q.URL = string(secret)
	return d.client.Query(ctx, q)
}
