package outbound

import (
	"net/http"
	"strconv"
	"strings"

	"agentstudio/internal/fault"
)

// Refusal returns the fault that an answer outside of 2xx stands for, or nil:
// Upstream or TooMany where another try may help, else Invalid. name is what
// people call the service. The code is "http_" and the status.
func Refusal(name string, answer *Response) error {
	if answer.Status/100 == 2 {
		return nil
	}
	kind := fault.Invalid
	switch answer.Status {
	case http.StatusTooManyRequests:
		kind = fault.TooMany
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly:
		kind = fault.Upstream
	}
	if answer.Status >= 500 {
		kind = fault.Upstream
	}
	said := strings.TrimSpace(strings.ToValidUTF8(string(answer.Body[:min(len(answer.Body), 300)]), ""))
	if said != "" {
		said = ": " + said
	}
	return fault.New(kind, "%s answered %d %s%s", name, answer.Status, http.StatusText(answer.Status), said).
		WithCode("http_" + strconv.Itoa(answer.Status)).WithRetryAfter(fault.ParseRetryAfter(answer.Header.Get("Retry-After")))
}
