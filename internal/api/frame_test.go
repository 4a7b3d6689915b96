package api

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the protocol asks for it
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestTextFramesOfEveryLengthAreReadAsTheyWereWritten(t *testing.T) {
	lengths := []int{0, 1, 125, 126, 127, 65535, 65536, 200_000}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close() //nolint:errcheck // the test is over
		sum := "Sec-WebSocket-Accept: " + acceptKey(r.Header.Get("Sec-WebSocket-Key")) + "\r\n\r\n"
		out := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + sum)
		for _, n := range lengths {
			out = append(out, textFrame(bytes.Repeat([]byte{'x'}, n))...)
		}
		if _, err := conn.Write(out); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http"), nil) //nolint:bodyclose // the dialler closes it
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow() //nolint:errcheck // the test is over
	conn.SetReadLimit(1 << 20)
	for _, n := range lengths {
		kind, text, err := conn.Read(ctx)
		if err != nil || kind != websocket.MessageText || len(text) != n {
			t.Fatalf("a frame of %d bytes was read as %d bytes, kind %v: %v", n, len(text), kind, err)
		}
	}
}

// acceptKey answers a client's key (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // the protocol's choice
	return base64.StdEncoding.EncodeToString(sum[:])
}
