package app

import (
	"path/filepath"

	"agentstudio/internal/blob"
	"agentstudio/internal/demo"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/outbound"
	"agentstudio/internal/webread"
	"agentstudio/internal/websearch"
)

// maxFile bounds a file of a workspace, in bytes.
const maxFile = 32 << 20

// kindDeps is what the node kinds may reach.
func (a *App) kindDeps(web *outbound.Client) builtin.Deps {
	key := a.cfg.JinaAPIKey.Reveal()
	return builtin.Deps{
		HTTP:    web,
		Search:  websearch.New(web, a.cfg.JinaSearchURL, key),
		Read:    webread.New(web, a.cfg.JinaReaderURL, key),
		Library: demo.New(),
		Mail:    a.opts.Mailer,
		Files:   blob.New(filepath.Join(a.cfg.DataDir, "files"), maxFile),
	}
}
