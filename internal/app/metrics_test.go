package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/config"
	"agentstudio/internal/redistest"
	"agentstudio/internal/store/storetest"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// promised are the names that dashboards and rules rely on.
const promised = `http_requests_total http_request_duration_seconds http_request_size_bytes workflow_executions_total workflow_execution_duration_seconds
	node_executions_total execution_queue_length executions_waiting execution_start_latency_seconds executions_active workers worker_lease_losses_total
	executions_taken_over_total db_connections_open db_connections_in_use db_connections_idle db_connections_max db_connections_waits_total
	db_connections_wait_seconds_total db_commit_batch_size db_commit_duration_seconds ai_api_calls_total ai_tokens_consumed_total
	websocket_connections rate_limiter_local outbound_limit_waits_total outbound_limit_refusals_total go_goroutines process_cpu_seconds_total`

// families are the metrics of a replica.
type families map[string]*dto.MetricFamily

func scrape(t *testing.T, address, token string) families {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d", answer.StatusCode)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// of returns the sum of a metric's values (of a histogram: how many there
// were) whose labels hold the words.
func (f families) of(name string, words ...string) (sum float64) {
	if f[name] == nil {
		return 0
	}
metrics:
	for _, m := range f[name].GetMetric() {
		labels := ""
		for _, l := range m.GetLabel() {
			labels += l.GetName() + "=" + l.GetValue() + ","
		}
		for _, w := range words {
			if !strings.Contains(labels, w+",") {
				continue metrics
			}
		}
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

func TestMetricsSayWhatAStudioDoes(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { metricsMove(t, serve(t, "", "", "on", talkative)) })
	t.Run("PostgreSQL and Redis", func(t *testing.T) {
		metricsMove(t, serve(t, storetest.PostgresURL(t), redistest.Start(t).URL(), "on", talkative))
	})
}

const metricsToken = "sesame-sesame-sesame"

func talkative(c *config.Config) { c.MetricsToken = metricsToken }

func metricsMove(t *testing.T, r *replica) {
	before := scrape(t, r.url, metricsToken)
	token := r.signIn("a@example.com")
	const in = `{"name":"w","nodes":[{"id":"in","kind":"manual-trigger"},`
	failing := r.expect(201, "POST", "/api/v1/workflows", token, in+`{"id":"think","kind":"agent","config":{"prompt":"hello","model":"default"}},{"id":"no","kind":"stop","config":{"status":"failed","message":"x"}}],"connections":[{"source":"in","target":"think"},{"source":"think","target":"no"}]}`)
	id, _ := failing["id"].(string)
	r.expect(200, "POST", "/api/v1/executions", token, map[string]any{"workflow_id": id, "wait": 30})
	slow := r.expect(201, "POST", "/api/v1/workflows", token, in+`{"id":"w","kind":"wait","config":{"seconds":3600}}],"connections":[{"source":"in","target":"w"}]}`)
	r.expect(202, "POST", "/api/v1/executions", token, map[string]any{"workflow_id": slow["id"]})
	ticket, _ := r.expect(200, "POST", "/api/v1/auth/ws-ticket", token, "{}")["ticket"].(string)
	conn := r.connect(ticket, "")
	receive(t, conn)
	r.call("GET", "/no/such/place/"+metricsToken, "", nil)

	after := scrape(t, r.url, metricsToken)
	for deadline := time.Now().Add(20 * time.Second); after.of("executions_waiting") != 1; after = scrape(t, r.url, metricsToken) {
		if time.Now().After(deadline) {
			t.Fatal("no execution waits")
		}
	}
	for _, name := range strings.Fields(promised) {
		if after[name] == nil || after[name].GetHelp() == "" {
			t.Errorf("%s is not there, or without HELP", name)
		}
	}
	for _, c := range []struct {
		name  string
		words []string
	}{
		{"workflow_executions_total", []string{"status=failed"}}, {"workflow_execution_duration_seconds", nil}, {"execution_start_latency_seconds", nil},
		{"node_executions_total", []string{"kind=agent", "status=completed"}}, {"node_executions_total", []string{"kind=stop"}},
		{"ai_api_calls_total", []string{"provider=demo", "status=answered"}}, {"ai_tokens_consumed_total", []string{"kind=output"}},
		{"db_commit_batch_size", nil}, {"db_commit_duration_seconds", nil}, {"websocket_connections", nil}, {"http_request_size_bytes", nil},
		{"http_requests_total", []string{"route=/api/v1/executions", "method=POST", "status=200"}},
		{"http_requests_total", []string{"route=unmatched", "method=GET", "status=404"}},
		{"http_request_duration_seconds", []string{"route=/api/v1/executions", "method=POST"}},
	} {
		if from, to := before.of(c.name, c.words...), after.of(c.name, c.words...); to <= from {
			t.Errorf("%s%v went from %v to %v", c.name, c.words, from, to)
		}
	}
	if after.of("workers") != 1 || after.of("rate_limiter_local") != 0 || after.of("db_connections_open") == 0 || after.of("metrics_backlog_readable") != 1 {
		t.Errorf("workers %v, local %v, connections %v", after.of("workers"), after.of("rate_limiter_local"), after.of("db_connections_open"))
	}
	for name, f := range after {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if strings.Contains(l.GetValue(), metricsToken) || strings.Contains(l.GetValue(), id) {
					t.Errorf("%s repeats what a caller wrote: %s", name, l.GetValue())
				}
			}
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %+v, %v", answer, err)
	}
	_ = answer.Body.Close()
}
