package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"agentstudio/internal/mcp"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxListed bounds the lists of a server.
const maxListed = 1000

// session is a connection through the SDK.
type session struct {
	conn   *sdk.ClientSession
	end    context.CancelFunc
	child  *child  // of a program; else nil
	sender *sender // of an address; else nil
	closed sync.Once
	done   chan struct{}
	err    error // set before done is closed
	calls  atomic.Int64

	mu    sync.Mutex // guards hears
	hears map[string]func(mcp.Progress)
}

// watch waits for the end of the connection.
func (s *session) watch() {
	err := s.conn.Wait()
	s.err = s.failed(err)
	close(s.done)
}

// failed says why a connection has failed: with what the program has said
// last, and what refused a request. Whatever was begun ends.
func (s *session) failed(err error) error {
	if s.sender != nil {
		return s.sender.explain(err)
	}
	if s.child == nil {
		return err
	}
	return s.child.explain(err)
}

// Info implements mcp.Session.
func (s *session) Info() mcp.Info {
	r := s.conn.InitializeResult()
	out := mcp.Info{Protocol: r.ProtocolVersion, Instructions: r.Instructions}
	if r.ServerInfo != nil {
		out.Name, out.Version = r.ServerInfo.Name, r.ServerInfo.Version
	}
	if r.Capabilities != nil {
		out.Capabilities, _ = json.Marshal(r.Capabilities) // it came as JSON
	}
	return out
}

func (s *session) can() *sdk.ServerCapabilities {
	if c := s.conn.InitializeResult().Capabilities; c != nil {
		return c
	}
	return &sdk.ServerCapabilities{}
}

// listed reads a list, page after page.
func listed[A any, B any](from iter.Seq2[*A, error], view func(*A) B) ([]B, error) {
	out := []B{}
	for item, err := range from {
		if err != nil {
			return nil, err
		}
		if len(out) == maxListed {
			break
		}
		out = append(out, view(item))
	}
	return out, nil
}

// Tools implements mcp.Session.
func (s *session) Tools(ctx context.Context) ([]mcp.Tool, error) {
	if s.can().Tools == nil {
		return []mcp.Tool{}, nil
	}
	return listed(s.conn.Tools(ctx, nil), viewTool)
}

// Resources implements mcp.Session.
func (s *session) Resources(ctx context.Context) ([]mcp.Resource, error) {
	if s.can().Resources == nil {
		return []mcp.Resource{}, nil
	}
	out, err := listed(s.conn.Resources(ctx, nil), func(r *sdk.Resource) mcp.Resource {
		return mcp.Resource{URI: r.URI, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIMEType, Size: r.Size}
	})
	if err != nil {
		return nil, err
	}
	templates, err := listed(s.conn.ResourceTemplates(ctx, nil), func(r *sdk.ResourceTemplate) mcp.Resource {
		return mcp.Resource{URI: r.URITemplate, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIMEType, Template: true}
	})
	if err != nil && ctx.Err() == nil { // not every server knows templates
		return out, nil
	}
	return append(out, templates...), err
}

// Prompts implements mcp.Session.
func (s *session) Prompts(ctx context.Context) ([]mcp.Prompt, error) {
	if s.can().Prompts == nil {
		return []mcp.Prompt{}, nil
	}
	return listed(s.conn.Prompts(ctx, nil), func(p *sdk.Prompt) mcp.Prompt {
		out := mcp.Prompt{Name: p.Name, Title: p.Title, Description: p.Description, Arguments: []mcp.PromptArgument{}}
		for _, a := range p.Arguments {
			out.Arguments = append(out.Arguments, mcp.PromptArgument{Name: a.Name, Description: a.Description, Required: a.Required})
		}
		return out
	})
}

// Call implements mcp.Session.
func (s *session) Call(ctx context.Context, u mcp.Use, progress func(mcp.Progress)) (*mcp.Result, error) {
	params := &sdk.CallToolParams{Name: u.Tool, Arguments: u.Args, Meta: sdk.Meta{}}
	if u.Key != "" {
		params.Meta["agentstudio/idempotency-key"] = u.Key
	}
	if progress != nil {
		token := strconv.FormatInt(s.calls.Add(1), 10)
		params.SetProgressToken(token)
		s.hear(token, progress)
		defer s.hear(token, nil)
	}
	r, err := s.conn.CallTool(ctx, params)
	if err != nil {
		return nil, s.failedCall(err)
	}
	return viewResult(r), nil
}

// failedCall adds why the connection has ended, when that is what happened.
func (s *session) failedCall(err error) error {
	select {
	case <-s.done:
		return errors.Join(err, s.err)
	default:
		if s.sender != nil {
			return s.sender.explain(err)
		}
		return err
	}
}

func (s *session) hear(token string, progress func(mcp.Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if progress == nil {
		delete(s.hears, token)
		return
	}
	s.hears[token] = progress
}

func (s *session) progressed(_ context.Context, n *sdk.ProgressNotificationClientRequest) {
	token, _ := n.Params.ProgressToken.(string)
	s.mu.Lock()
	tell := s.hears[token]
	s.mu.Unlock()
	if tell != nil {
		tell(mcp.Progress{Done: n.Params.Progress, Total: n.Params.Total, Message: n.Params.Message})
	}
}

// goodbye is how long calls under way may take to end when the connection is
// closed.
const goodbye = 2 * time.Second

// noPing is the first protocol that has no ping any more.
const noPing = "2026-07-28"

// Ping implements mcp.Session. Where the protocol has no ping the next call
// finds out.
func (s *session) Ping(ctx context.Context) error {
	if s.conn.InitializeResult().ProtocolVersion >= noPing {
		return nil
	}
	return s.failedCallOrNil(s.conn.Ping(ctx, nil))
}

func (s *session) failedCallOrNil(err error) error {
	if err == nil {
		return nil
	}
	return s.failedCall(err)
}

// Done implements mcp.Session.
func (s *session) Done() <-chan struct{} { return s.done }

// Err implements mcp.Session.
func (s *session) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Close implements mcp.Session. It returns when the connection is gone, and
// with it the program and everything it has started.
func (s *session) Close() error {
	s.closed.Do(func() {
		if s.child != nil {
			s.child.close()
		}
		hurry := time.AfterFunc(goodbye, s.end)
		defer hurry.Stop()
		_ = s.conn.Close() // it is given up either way
		s.end()
	})
	<-s.done
	return nil
}
