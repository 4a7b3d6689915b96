package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/app"
	"agentstudio/internal/config"
	"agentstudio/internal/redistest"
	"agentstudio/internal/store/storetest"

	"github.com/coder/websocket"
)

// letters is a letter box.
type letters struct {
	mu   sync.Mutex
	last string
}

func (l *letters) Send(_ context.Context, _, _, text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = text
	return nil
}

// replica is one serve process.
type replica struct {
	t   *testing.T
	url string
	box *letters
}

// serve starts a process on the database; it is gone when the test ends.
func serve(t *testing.T, database, redis, engine string, changes ...func(*config.Config)) *replica {
	t.Helper()
	cfg := settings(t.TempDir())
	cfg.DatabaseURL, cfg.RedisURL, cfg.Engine = config.Secret(database), config.Secret(redis), engine
	cfg.SecretKeys = []config.Secret{config.Secret(strings.Repeat("k", 32))}
	for _, change := range changes {
		change(&cfg)
	}
	r := &replica{t: t, box: &letters{}}
	studio, err := app.Open(t.Context(), cfg, app.Options{Version: "test", Log: slog.New(slog.DiscardHandler), Mailer: r.box})
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- studio.Serve(ctx, l, func() { close(started) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := studio.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	r.url = "http://" + l.Addr().String()
	return r
}

// call returns the status and the answer, as JSON where it is.
func (r *replica) call(method, path, token string, body any) (int, map[string]any) {
	r.t.Helper()
	text, isText := body.(string)
	if !isText {
		raw, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(raw)
	}
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, bytes.NewReader([]byte(text)))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var out map[string]any
	if json.Unmarshal(raw, &out) != nil {
		out = map[string]any{"text": string(raw)}
	}
	return answer.StatusCode, out
}

func (r *replica) expect(want int, method, path, token string, body any) map[string]any {
	r.t.Helper()
	status, out := r.call(method, path, token, body)
	if status != want {
		r.t.Fatalf("%s %s: %d, want %d: %v", method, path, status, want, out)
	}
	return out
}

func (r *replica) signIn(email string) (token string) {
	r.t.Helper()
	r.expect(200, "POST", "/api/v1/auth/request-otp", "", map[string]any{"email": email})
	code := regexp.MustCompile(`\b\d{6}\b`).FindString(r.box.last)
	return r.expect(200, "POST", "/api/v1/auth/verify-otp", "", map[string]any{"email": email, "code": code})["access_token"].(string)
}

func (r *replica) connect(ticket, rest string) *websocket.Conn {
	r.t.Helper()
	conn, answer, err := websocket.Dial(r.t.Context(), "ws"+strings.TrimPrefix(r.url, "http")+"/api/v1/ws?ticket="+ticket+rest, nil)
	if err != nil {
		r.t.Fatalf("no socket: %v", err)
	}
	if answer.Body != nil {
		_ = answer.Body.Close()
	}
	r.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

const hooked = `{"name":"hooked","nodes":[
 {"id":"in","kind":"webhook-trigger","config":{"path":"hooked","methods":["POST"],"respond":"when-finished"}},
 {"id":"nap","kind":"wait","config":{"seconds":0.3}},
 {"id":"out","kind":"set","config":{"values":{"ok":true}}}],
 "connections":[{"source":"in","target":"nap"},{"source":"nap","target":"out"}]}`

// replicasTest runs on two servers of which only the second runs executions.
func replicasTest(t *testing.T, redis string) {
	database := storetest.PostgresURL(t)
	front, back := serve(t, database, redis, "off"), serve(t, database, redis, "on")
	token := front.signIn("ada@example.com")

	t.Run("a caller waits at one for what the other runs", func(t *testing.T) {
		w := front.expect(201, "POST", "/api/v1/workflows", token, `{"name":"w","nodes":[{"id":"in","kind":"manual-trigger"},{"id":"nap","kind":"wait","config":{"seconds":0.3}},{"id":"out","kind":"set","config":{"values":{"ok":true}}}],"connections":[{"source":"in","target":"nap"},{"source":"nap","target":"out"}]}`)
		for i := range 3 {
			began := time.Now()
			x := front.expect(200, "POST", "/api/v1/executions", token, map[string]any{"workflow_id": w["id"], "wait": 60})
			if x["status"] != "completed" || time.Since(began) > 30*time.Second {
				t.Errorf("call %d: %v after %s", i, x["status"], time.Since(began))
			}
		}
	})
	t.Run("a caller is answered what the row says, where it runs and elsewhere", func(t *testing.T) {
		w := back.expect(201, "POST", "/api/v1/workflows", token, `{"name":"w","nodes":[{"id":"in","kind":"manual-trigger"},{"id":"out","kind":"set","config":{"values":{"ok":"{{ trigger.n }}"}}}],"connections":[{"source":"in","target":"out"}]}`)
		failing := back.expect(201, "POST", "/api/v1/workflows", token, `{"name":"w","nodes":[{"id":"in","kind":"manual-trigger"},{"id":"out","kind":"stop","config":{"status":"failed","message":"no"}}],"connections":[{"source":"in","target":"out"}]}`)
		for _, id := range []any{w["id"], failing["id"]} {
			for _, at := range []*replica{back, front} {
				said := at.expect(200, "POST", "/api/v1/executions", token, map[string]any{"workflow_id": id, "wait": 60, "trigger_data": map[string]any{"n": 7}})
				row := front.expect(200, "GET", "/api/v1/executions/"+said["id"].(string), token, "")
				delete(row, "nodes") // which only one execution by itself shows
				delete(row, "nodes_total")
				if !reflect.DeepEqual(said, row) {
					t.Errorf("the caller heard\n%v\nthe row says\n%v", said, row)
				}
			}
		}
	})
	t.Run("a webhook answers at one with what the other ran, while it is published", func(t *testing.T) {
		w := back.expect(201, "POST", "/api/v1/workflows", token, hooked)
		const path = "/hooks/ada/hooked"
		status := fmt.Sprintf("/api/v1/workflows/%s/status", w["id"])
		if code, _ := front.call("POST", path, "", "{}"); code/100 == 2 {
			t.Fatal("a draft was started")
		}
		back.expect(200, "PATCH", status, token, `{"status":"published"}`)
		if out := front.expect(200, "POST", path, "", "{}"); out["ok"] != true {
			t.Errorf("got %v", out)
		}
		back.expect(200, "PATCH", status, token, `{"status":"draft"}`)
		if code, _ := front.call("POST", path, "", "{}"); code/100 == 2 {
			t.Error("a workflow that is published no more was started")
		}
	})
	t.Run("what was missed at one is replayed by the other", func(t *testing.T) {
		w := front.expect(201, "POST", "/api/v1/workflows", token, `{"name":"w","nodes":[{"id":"in","kind":"manual-trigger"},{"id":"nap","kind":"wait","config":{"seconds":0.5}},{"id":"out","kind":"set","config":{"values":{"ok":true}}}],"connections":[{"source":"in","target":"nap"},{"source":"nap","target":"out"}]}`)
		x := front.expect(202, "POST", "/api/v1/executions", token, map[string]any{"workflow_id": w["id"]})
		last := 0.0
		for i := 0; ; i++ {
			r := []*replica{front, back}[i%2]
			ticket := []*replica{back, front}[i%2].expect(200, "POST", "/api/v1/auth/ws-ticket", token, "{}")["ticket"].(string)
			conn := r.connect(ticket, "")
			send(t, conn, fmt.Sprintf(`{"type":"subscribe","room_id":"execution:%s","after_seq":%d}`, x["id"], int(last)))
			for n := 0; n < 2; {
				e := receive(t, conn)
				seq, _ := e["seq"].(float64)
				if seq == 0 {
					continue
				}
				if seq != last+1 {
					t.Fatalf("event %v came after %v", seq, last)
				}
				last = seq
				n++
				if d, _ := e["data"].(map[string]any); e["type"] == "execution_update" && d["status"] == "completed" {
					return
				}
			}
			_ = conn.CloseNow()
		}
	})
	t.Run("signing out at one closes sockets and refuses tokens at the other", func(t *testing.T) {
		ticket := front.expect(200, "POST", "/api/v1/auth/ws-ticket", token, "{}")["ticket"].(string)
		conn := back.connect(ticket, "")
		receive(t, conn)
		receive(t, conn) // it listens to its user by now
		began := time.Now()
		front.expect(204, "POST", "/api/v1/auth/logout", token, "{}")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for {
			_, _, err := conn.Read(ctx)
			if err == nil {
				continue
			}
			if websocket.CloseStatus(err) != 4401 {
				t.Errorf("the socket ended with %v after %s", err, time.Since(began))
			}
			break
		}
		back.expect(401, "GET", "/api/v1/auth/me", token, "")
	})
}

func send(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, conn *websocket.Conn) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, text, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReplicasActAsOneOverPostgres(t *testing.T) { replicasTest(t, "") }

func TestReplicasActAsOneOverRedis(t *testing.T) { replicasTest(t, redistest.Start(t).URL()) }

func TestReplicasShareLimitsThroughRedis(t *testing.T) {
	database, redis := storetest.PostgresURL(t), redistest.Start(t).URL()
	four := func(c *config.Config) { c.LimitAnonymous = config.Rate{Requests: 4, Per: time.Hour} }
	a, b := serve(t, database, redis, "on", four), serve(t, database, redis, "on", four)
	refused := 0
	for i := range 6 {
		if status, _ := []*replica{a, b}[i%2].call("GET", "/api/v1/auth/me", "", ""); status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d of 6 calls were refused at a limit of 4", refused)
	}
}
