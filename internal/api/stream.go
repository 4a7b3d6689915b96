package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"

	"github.com/danielgtaylor/huma/v2"
)

// writeTime is how long a listener may take to accept what is written to it.
const writeTime = 10 * time.Second

const eventStream = "text/event-stream"

// errEnded says that nobody is to be told any more.
var errEnded = errors.New("the listener is gone")

func (s *Server) streamRoutes() {
	stream(s, op{Method: "GET", Path: "/executions/{id}/events", ID: "follow-execution", Tag: "realtime", Stream: eventStream, Also: []int{204},
		Summary: "The ordered events of an execution, as server-sent events",
		Notes:   "Each has its seq as id. Last-Event-ID (or after_seq) goes on behind the one seen last. The stream ends with the execution; 204: there is nothing more to come."}, s.followEvents)
	stream(s, op{Method: "GET", Path: "/executions/{id}/logs", ID: "list-logs", Tag: "executions", Stream: eventStream, Summary: "The log of an execution, oldest first",
		Notes: "JSON pages, or with Accept: text/event-stream the lines as they come."}, s.logs)
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[LogPage](), true, "LogPage")
	s.api.OpenAPI().Paths[base+"/executions/{id}/logs"].Get.Responses["200"].Content["application/json"] = &huma.MediaType{Schema: schema}
}

// sse writes server-sent events.
type sse struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newSSE(w http.ResponseWriter) *sse {
	h := w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("X-Accel-Buffering", "no") // proxies must not hold events back
	w.WriteHeader(http.StatusOK)
	return &sse{w: w, control: http.NewResponseController(w)}
}

// send writes text and flushes it; a listener that does not take it in time is
// given up.
func (o *sse) send(text string) error {
	_ = o.control.SetWriteDeadline(time.Now().Add(writeTime)) // not every connection has deadlines
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.control.Flush()
}

func (o *sse) event(seq int64, name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	var b strings.Builder
	if seq > 0 {
		b.WriteString("id: " + strconv.FormatInt(seq, 10) + "\n")
	}
	b.WriteString("event: " + name + "\ndata: ")
	b.Write(text) // JSON has no line breaks
	b.WriteString("\n\n")
	return o.send(b.String())
}

// Resume says where a stream goes on.
type Resume struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"20" pattern:"^[0-9]*$"`
	AfterSeq    int64  `query:"after_seq" minimum:"0" doc:"As Last-Event-ID"`
}

func (r Resume) after() int64 {
	if n, err := strconv.ParseInt(r.LastEventID, 10, 64); err == nil {
		return n
	}
	return r.AfterSeq
}

type followInput struct {
	IDPath
	Resume
}

func (s *Server) followEvents(w http.ResponseWriter, r *http.Request, by access.Actor, in *followInput) error {
	return s.followExecution(w, r, by, in.ID, in.after(), func(out *sse, e *event.Event) error {
		return out.event(e.Seq, e.Type, viewEvent(e))
	})
}

// followExecution tells an execution's events until it is over, the caller is
// gone or may not see it any more, or the server stops.
func (s *Server) followExecution(w http.ResponseWriter, r *http.Request, by access.Actor, id string, after int64, show func(*sse, *event.Event) error) error {
	ctx := r.Context()
	sub := s.Bus.Subscribe(event.ExecutionRoom(id), event.UserRoom(by.UserID))
	defer sub.Close()
	x, err := s.Executions.Find(ctx, by, id)
	if err != nil {
		return err
	}
	if x.Status.Over() && after >= x.LastSeq {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if !s.enter() {
		return fault.New(fault.Unavailable, "the studio is stopping; try again in a moment")
	}
	defer s.live.Done()
	l := &listener{server: s, request: r, room: event.ExecutionRoom(id), out: newSSE(w), sub: sub, show: show, ended: x.Status.Over()}
	l.follower = &follower{last: after, history: s.executionHistory(by, id)}
	s.noteStream(ctx, l.run(ctx))
	return nil
}

// listener is one stream of an execution's events.
type listener struct {
	server   *Server
	request  *http.Request
	room     string
	out      *sse
	sub      event.Subscription
	show     func(*sse, *event.Event) error
	follower *follower
	ended    bool // the execution is over
}

func (l *listener) tell(e *event.Event) error {
	l.ended = l.ended || endsExecution(e)
	return l.show(l.out, e)
}

func (l *listener) run(ctx context.Context) error {
	beat := time.NewTicker(l.server.cfg.Heartbeat)
	defer beat.Stop()
	err := l.follower.catchUp(ctx, l.tell)
	for err == nil && !l.ended {
		err = l.next(ctx, beat.C)
	}
	if err != nil {
		return err
	}
	return l.follower.catchUp(ctx, l.tell) // what was committed with the end may come behind it
}

// next tells what the bus brings next, or that the stream is alive. errEnded:
// there is nobody to tell any more, or the server stops.
func (l *listener) next(ctx context.Context, beat <-chan time.Time) error {
	var err error
	select {
	case e := <-l.sub.C():
		if e.Room == l.room {
			err = l.follower.take(ctx, e, l.tell)
		} else if e.Type == event.Session {
			err = l.look(ctx)
		}
	case <-beat:
		if err = l.look(ctx); err == nil {
			err = l.out.send(": still here\n\n")
		}
	case <-ctx.Done():
		return errEnded
	case <-l.server.stopping:
		return errEnded
	}
	if err == nil && l.sub.Lagged() {
		err = l.look(ctx)
	}
	return err
}

// look tells what is stored, to who may still see it.
func (l *listener) look(ctx context.Context) error {
	if _, err := l.server.identify(ctx, bearer(l.request)); err != nil {
		return err
	}
	return l.follower.catchUp(ctx, l.tell)
}

// noteStream logs why a stream ended, when that is ours to mend.
func (s *Server) noteStream(ctx context.Context, err error) {
	if err == nil || errors.Is(err, errEnded) || ctx.Err() != nil || fault.As(err) != nil {
		return
	}
	s.cfg.Log.InfoContext(ctx, "stream ended", "request_id", callOf(ctx).id, "error", err.Error())
}

// LogEntry is a line of an execution's log.
type LogEntry struct {
	Seq       int64           `json:"seq"`
	NodeID    string          `json:"node_id"`
	Iteration string          `json:"iteration"`
	Level     string          `json:"level" enum:"debug,info,warn,error"`
	Message   string          `json:"message"`
	Data      json.RawMessage `json:"data,omitempty"`
	Timestamp Time            `json:"timestamp"`
}

// LogPage is one page of a log.
type LogPage struct {
	Items      []LogEntry `json:"items"`
	Limit      int        `json:"limit"`
	NextCursor string     `json:"next_cursor,omitempty" doc:"Send it as cursor to go on; missing on the last page"`
}

func viewLog(l execution.LogEntry) LogEntry {
	return LogEntry{Seq: l.Seq, NodeID: l.NodeID, Iteration: l.Iteration, Level: l.Level, Message: l.Message, Data: l.Data, Timestamp: Time(l.At)}
}

type logsInput struct {
	IDPath
	Resume
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
	Level  string `query:"level" enum:"debug,info,warn,error"`
	NodeID string `query:"node_id" maxLength:"128"`
	Cursor string `query:"cursor" maxLength:"100"`
	Accept string `header:"Accept"`
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request, by access.Actor, in *logsInput) error {
	if strings.Contains(in.Accept, eventStream) {
		return s.followLogs(w, r, by, in)
	}
	f := execution.LogFilter{Level: in.Level, NodeID: in.NodeID, Limit: in.Limit, After: in.AfterSeq}
	if in.Cursor != "" {
		after, ok := readCursor(in.Cursor)
		if !ok {
			return wanted("query.cursor", "this is not the next_cursor of a page")
		}
		f.After = after
	}
	entries, err := s.Executions.Logs(r.Context(), by, in.ID, f)
	if err != nil {
		return err
	}
	page := LogPage{Items: views(entries, viewLog), Limit: in.Limit}
	if len(entries) == in.Limit {
		page.NextCursor = writeCursor(entries[len(entries)-1].Seq)
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(page)
}

func (s *Server) followLogs(w http.ResponseWriter, r *http.Request, by access.Actor, in *logsInput) error {
	return s.followExecution(w, r, by, in.ID, in.after(), func(out *sse, e *event.Event) error {
		if e.Type != event.Log {
			return nil
		}
		var l struct {
			NodeID    string          `json:"node_id"`
			Iteration string          `json:"iteration"`
			Level     string          `json:"level"`
			Message   string          `json:"message"`
			Data      json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(e.Data, &l); err != nil {
			return err
		}
		if in.Level != "" && l.Level != in.Level || in.NodeID != "" && l.NodeID != in.NodeID {
			return nil
		}
		return out.event(e.Seq, event.Log, LogEntry{Seq: e.Seq, NodeID: l.NodeID, Iteration: l.Iteration, Level: l.Level, Message: l.Message, Data: l.Data, Timestamp: Time(e.At)})
	})
}

// passed is an event of a stream that ends with the request.
type passed struct {
	name string
	data any
}

// relay tells the first event and those that follow until they end, the client
// is gone or the studio stops.
func (s *Server) relay(w http.ResponseWriter, first passed, events <-chan passed) {
	out := newSSE(w)
	beat := time.NewTicker(s.cfg.Heartbeat)
	defer beat.Stop()
	for err := out.event(0, first.name, first.data); err == nil; {
		select {
		case e, more := <-events:
			if !more {
				return
			}
			err = out.event(0, e.name, e.data)
		case <-beat.C:
			err = out.send(": still here\n\n")
		case <-s.stopping:
			return
		}
	}
}
