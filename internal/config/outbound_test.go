package config_test

import (
	"strings"
	"testing"

	"agentstudio/internal/config"
)

func TestOutboundLimitsAreRead(t *testing.T) {
	c := config.Config{OutboundLimits: []string{"api.example.com=10/s", " *.slow.org = 100/1m", "credential:crm=5/s", "free.slow.org=off", "[::1]=1/h", "*=1000/1h"}}
	got, err := c.Outbound()
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, l := range got {
		text = append(text, l.Host+l.Credential+" "+l.Rate.String())
	}
	if s := strings.Join(text, ", "); s != "api.example.com 10/1s, *.slow.org 100/1m, crm 5/1s, free.slow.org off, ::1 1/1h, * 1000/1h" {
		t.Errorf("got %s", s)
	}
}

func TestOutboundLimitsThatAreNoneAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"api.example.com":                        "not of the form",
		"=10/s":                                  "not of the form",
		"api.example.com=":                       "is not a rate",
		"api.example.com=often":                  "is not a rate",
		"api.example.com=0/s":                    "is not a rate",
		"api.example.com=10/-5s":                 "is not a rate",
		"https://api.example.com=10/s":           "is no host",
		"api.example.com:443=10/s":               "is no host",
		"api.*.com=10/s":                         "is no host",
		"*.=10/s":                                "is no host",
		"credential:=10/s":                       "names no credential",
		"a.test=1/s,credential:x=1/s,A.test=2/s": "limited twice",
	} {
		c := config.Config{DataDir: t.TempDir(), Addr: "127.0.0.1:1", MaxBodyMiB: 1, OutboundLimits: strings.Split(text, ",")}
		if err := c.Complete(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "STUDIO_OUTBOUND_LIMITS") {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
