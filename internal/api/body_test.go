package api_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/api"
)

func TestABodyThatNeverEndsDoesNotHoldItsConnection(t *testing.T) {
	s := open(t, options{config: func(c *api.Config) { c.BodyTime = 200 * time.Millisecond }})
	p := s.signIn("a@example.com")
	for name, c := range map[string]struct{ head, want string }{
		"read by the operation":  {"POST /api/v1/workflows HTTP/1.1\r\nAuthorization: Bearer " + p.token, "400"},
		"refused before":         {"POST /api/v1/workflows HTTP/1.1", "401"},
		"sent to no address":     {"POST /nowhere HTTP/1.1", "404"},
		"sent where none is due": {"GET /healthz HTTP/1.1", "200"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.http.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }() // the other end has closed
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, c.head+"\r\nHost: studio\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n{"); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn) // until the server ends it
			if err != nil {
				t.Fatalf("%v after %q", err, answer)
			}
			if !strings.HasPrefix(string(answer), "HTTP/1.1 "+c.want+" ") {
				t.Errorf("answered %.200s", answer)
			}
		})
	}
}
