package fault

import (
	"strconv"
	"strings"
	"time"
)

// ParseRetryAfter reads the value of a Retry-After header: seconds, with a
// fraction where a server writes one, or a date. 0 when it is neither, or past.
func ParseRetryAfter(header string) time.Duration {
	header = strings.TrimSpace(header)
	if s, err := strconv.ParseFloat(header, 64); err == nil {
		const longest = 365 * 24 * 3600 // also keeps NaN and what overflows out
		if s > 0 && s < longest {
			return time.Duration(s * float64(time.Second))
		}
		return 0
	}
	for _, form := range []string{time.RFC1123, time.RFC850, time.ANSIC} { // those of RFC 9110, 5.6.7
		if at, err := time.Parse(form, header); err == nil {
			return max(0, time.Until(at))
		}
	}
	return 0
}
