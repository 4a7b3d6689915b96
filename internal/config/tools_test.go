package config_test

import (
	"strings"
	"testing"

	"agentstudio/internal/config"
)

func TestToolLimitsAreRead(t *testing.T) {
	c := config.Config{ToolLimits: []string{"send_email=20/1h", " web_search = 60/m", "mcp/github/create_issue=5/1m", "mcp/github/*=off", "mcp/*=10/s"}}
	got, err := c.Tools([]string{"send_email", "web_search"})
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, l := range got {
		text = append(text, l.Tool+" "+l.Rate.String())
	}
	if s := strings.Join(text, ", "); s != "send_email 20/1h, web_search 60/1m, mcp/github/create_issue 5/1m, mcp/github/* off, mcp/* 10/1s" {
		t.Errorf("got %s", s)
	}
}

func TestEveryFaultOfToolLimitsIsNamedAtOnce(t *testing.T) {
	c := config.Config{ToolLimits: strings.Split("send_emial=20/1h,web_search,=3/s,web_search=often,web_search=1/s,send_email=,mcp=1/s,mcp/x=1/s,mcp/a*/b=1/s,web/x=1/s", ",")}
	_, err := c.Tools([]string{"send_email", "web_search"})
	if err == nil {
		t.Fatal("all of it was taken")
	}
	for _, want := range []string{
		`there is no tool "send_emial"`, `send_email`, `"web_search" is not of the form`, `"=3/s" is not of the form`, `web_search: "often" is not a rate`, `web_search is limited twice`,
		`send_email: "" is not a rate`, `there is no tool "mcp"`, `mcp/x: tools of MCP servers are written`, `mcp/a*/b: tools of`, `web/x: tools of`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}
