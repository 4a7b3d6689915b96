package app_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agentstudio/internal/store/storetest"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// inTurns sends each request to the next replica, as a balancer does.
type inTurns struct {
	replicas []*replica
	token    string
	next     atomic.Int64
}

func (b *inTurns) RoundTrip(r *http.Request) (*http.Response, error) {
	u, err := url.Parse(b.replicas[int(b.next.Add(1))%len(b.replicas)].url)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Host, r.Host = u.Host, u.Host
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// TestAnyReplicaAnswersMCP: requests of one client go to one replica after the
// other, and a cancellation finds the one that waits.
func TestAnyReplicaAnswersMCP(t *testing.T) {
	database := storetest.PostgresURL(t)
	front, back := serve(t, database, "", "off"), serve(t, database, "", "on")
	token := front.signIn("ada@example.com")
	w := front.expect(201, "POST", "/api/v1/workflows", token, `{"name":"slow","nodes":[{"id":"in","kind":"workflow-trigger"},{"id":"nap","kind":"wait","config":{"seconds":3600}}],"connections":[{"source":"in","target":"nap"}]}`)
	id, _ := w["id"].(string)
	front.expect(200, "PATCH", "/api/v1/workflows/"+id+"/status", token, `{"status":"published"}`)
	waits := make(chan struct{}, 100)
	c, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, &sdk.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
		if strings.HasSuffix(r.Params.Message, "waiting") {
			waits <- struct{}{}
		}
	}}).Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: front.url + "/mcp", HTTPClient: &http.Client{Transport: &inTurns{replicas: []*replica{front, back}, token: token}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for range 2 { // the call at one, its cancellation at the other, either way round
		if list, err := c.ListTools(t.Context(), nil); err != nil || len(list.Tools) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			p := &sdk.CallToolParams{Name: "slow"}
			p.SetProgressToken("p")
			_, err := c.CallTool(ctx, p)
			ended <- err
		}()
		select {
		case <-waits:
		case <-time.After(20 * time.Second):
			t.Fatal("no progress was told")
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the call ended with %v", err)
		}
		for late := time.Now().Add(20 * time.Second); ; {
			list := back.expect(200, "GET", "/api/v1/executions?workflow_id="+id+"&status=cancelled", token, "")
			open := back.expect(200, "GET", "/api/v1/executions?workflow_id="+id+"&status=waiting", token, "")
			if list["total"] != 0.0 && open["total"] == 0.0 {
				break
			}
			if time.Now().After(late) {
				t.Fatalf("cancelled are %v, waiting %v", list["total"], open["total"])
			}
			<-time.After(20 * time.Millisecond)
		}
	}
}
