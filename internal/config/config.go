// Package config holds every setting of the studio in one struct. A value
// comes from the command line, else the environment, else the configuration
// file, else its default.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Config is every setting. The tags are the reference that `agentstudio config
// --reference` prints: name on the command line (with dashes) and in the file
// (with underscores), environment variable, default, meaning.
type Config struct {
	Addr          string `group:"Server" env:"STUDIO_ADDR" default:"127.0.0.1:8000" help:"Address to listen on. A wider one than loopback is your choice."`
	DataDir       string `group:"Server" env:"STUDIO_DATA_DIR" default:"~/.agentstudio" help:"Directory of the database, the keys and the files. Made when missing."`
	PublicURL     string `group:"Server" env:"STUDIO_PUBLIC_URL" help:"Address people reach the studio at, for links in letters and webhooks. Default: http:// and the listen address."`
	ConfigFile    string `group:"Server" name:"config-file" env:"STUDIO_CONFIG" help:"YAML file with settings. Default: config.yaml in the data directory, when it is there."`
	DatabaseURL   Secret `group:"Server" env:"DATABASE_URL" help:"postgres://… to use PostgreSQL. Empty: SQLite in the data directory."`
	RedisURL      Secret `group:"Server" name:"redis-url" env:"REDIS_URL" help:"redis://… or rediss://… to share rate limits and live updates between processes through Redis. Empty: rate limits count in each process, live updates go through PostgreSQL."`
	MaxConns      int    `group:"Server" env:"STUDIO_MAX_CONNS" default:"0" help:"Database connections at most. 0: 4 readers on SQLite, 20 on PostgreSQL."`
	MaxActive     int    `group:"Server" env:"STUDIO_MAX_ACTIVE" default:"512" help:"Executions in memory at a time; others wait in the database."`
	Engine        string `group:"Server" env:"STUDIO_ENGINE" default:"on" enum:"on,off" help:"Whether serve runs executions too: ${enum}. Off leaves them to the workers, on PostgreSQL."`
	RetentionDays int    `group:"Server" env:"STUDIO_RETENTION_DAYS" default:"30" help:"Days that finished executions are kept, where their workflow does not say. 0: for ever."`
	MaxBodyMiB    int    `group:"Server" name:"max-body-mib" env:"STUDIO_MAX_BODY_MIB" default:"10" help:"Largest request body, in MiB."`
	LogLevel      string `group:"Server" env:"LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"Least important line that is logged: ${enum}."`
	OTLPEndpoint  string `group:"Server" name:"otlp-endpoint" env:"OTEL_EXPORTER_OTLP_ENDPOINT" help:"Collector that spans of executions, agents, models and tools are sent to, over HTTP: http://127.0.0.1:4318. Empty: none are made. The other settings of OpenTelemetry (OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, …) are read from the environment."`
	OTLPTraces    string `group:"Server" name:"otlp-traces-endpoint" env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" help:"The whole address for spans, instead of /v1/traces below the collector's."`
	LogFormat     string `group:"Server" env:"LOG_FORMAT" default:"text" enum:"text,json" help:"Form of the log: ${enum}."`
	ShutdownGrace int    `group:"Server" env:"STUDIO_SHUTDOWN_SECONDS" default:"20" help:"Seconds that nodes in flight get to end after a stop was asked for."`

	SecretKeys       []Secret `group:"Security" name:"secret-key" env:"SECRET_KEYS,SECRET_KEY" help:"Keys that sign sessions, newest first, comma-separated, 32 characters or more each. Empty: made on the first start, in the data directory."`
	Signup           string   `group:"Security" env:"STUDIO_SIGNUP" default:"open" enum:"open,invite,closed" help:"Who may make an account: ${enum}."`
	AllowedOrigins   []string `group:"Security" env:"STUDIO_ALLOWED_ORIGINS" help:"Web origins, beside its own, whose pages may call the API."`
	TrustedProxies   []string `group:"Security" env:"STUDIO_TRUSTED_PROXIES" help:"Addresses or CIDR ranges of proxies whose X-Forwarded-For is believed."`
	AllowPrivate     []string `group:"Security" name:"allow-private-networks" env:"STUDIO_ALLOW_PRIVATE_NETWORKS" help:"host:port pairs or CIDR ranges inside private networks that workflows and agents may reach."`
	AllowStdioMCP    bool     `group:"Security" name:"allow-stdio-mcp" env:"STUDIO_ALLOW_STDIO_MCP" help:"Lets administrators set up MCP servers that are programs on the studio's machine (transport stdio)."`
	MetricsToken     Secret   `group:"Security" env:"STUDIO_METRICS_TOKEN" help:"What a reader of /metrics shows as a bearer token, 16 characters or more. Empty: only programs on the same machine may read. Set one where a proxy runs on this machine."`
	LimitAPI         Rate     `group:"Limits" env:"STUDIO_LIMIT_API" default:"1000/1h" help:"API requests of one user, or off."`
	LimitAnonymous   Rate     `group:"Limits" env:"STUDIO_LIMIT_ANONYMOUS" default:"60/1m" help:"Requests of one address that is not signed in, or off."`
	LimitCodeAddress Rate     `group:"Limits" env:"STUDIO_LIMIT_CODE_ADDRESS" default:"5/15m" help:"Sign-in codes asked for by one mail address, or off."`
	LimitCodeIP      Rate     `group:"Limits" name:"limit-code-ip" env:"STUDIO_LIMIT_CODE_IP" default:"20/15m" help:"Sign-in codes asked for from one IP address, or off."`
	LimitVerify      Rate     `group:"Limits" env:"STUDIO_LIMIT_VERIFY" default:"10/15m" help:"Sign-in codes tried for one mail address from one IP address, or off."`
	LimitAI          Rate     `group:"Limits" name:"limit-ai" env:"STUDIO_LIMIT_AI" default:"100/1h" help:"Model calls of one user through the tools API, or off."`
	LimitWebhook     Rate     `group:"Limits" env:"STUDIO_LIMIT_WEBHOOK" default:"600/1m" help:"Calls of one workflow's webhooks, or off."`
	OutboundLimits   []string `group:"Limits" env:"STUDIO_OUTBOUND_LIMITS" help:"How often hosts may be called, and credentials used, by all processes together: api.example.com=10/s,*.slow.org=100/1m,credential:crm=5/s. The most exact pattern counts for a host; off lifts a wider one."`
	StorageURL       Secret   `group:"Files" name:"storage-url" env:"STORAGE_URL" help:"Where the contents of files are kept: file:///folder, or s3://bucket/prefix?endpoint=https://host&region=…&path_style=true for a server that speaks S3. Empty: in the data directory. Several processes need one place that all reach."`
	StorageAccessKey Secret   `group:"Files" env:"STORAGE_ACCESS_KEY,AWS_ACCESS_KEY_ID" help:"Access key of the S3 server."`
	StorageSecretKey Secret   `group:"Files" env:"STORAGE_SECRET_KEY,AWS_SECRET_ACCESS_KEY" help:"Secret key of the S3 server."`
	UploadMaxMiB     int      `group:"Files" name:"upload-max-mib" env:"STUDIO_UPLOAD_MAX_MIB" default:"10" help:"Largest file that may be uploaded, in MiB."`
	UploadTypes      []string `group:"Files" env:"STUDIO_UPLOAD_TYPES" default:"text/*,image/*,audio/*,video/*,font/*,application/pdf,application/json,application/xml,application/zip,application/gzip,application/x-ndjson,application/rtf,application/epub+zip,application/msword,application/vnd.ms-*,application/vnd.openxmlformats-officedocument.*,application/vnd.oasis.opendocument.*,application/vnd.apache.parquet,application/vnd.sqlite3" help:"Types of content that may be uploaded, as found from the content: application/pdf, image/*, or * for all."`
	FilesQuotaMiB    int      `group:"Files" name:"files-quota-mib" env:"STUDIO_FILES_QUOTA_MIB" default:"0" help:"What the files of one workspace may take together, in MiB. 0: no bound."`
	SMTPURL          Secret   `group:"Mail" name:"smtp-url" env:"SMTP_URL" help:"smtp://user:pass@host:port or smtps://… Empty: letters are printed to the log."`
	SendGridAPIKey   Secret   `group:"Mail" name:"sendgrid-api-key" env:"SENDGRID_API_KEY" help:"Sends letters through SendGrid when no SMTP server is set."`
	EmailFrom        string   `group:"Mail" env:"EMAIL_FROM" default:"Agent Studio <studio@localhost>" help:"Sender of letters."`
	DefaultAIModel   string   `group:"Models" name:"default-ai-model" env:"DEFAULT_AI_MODEL" help:"Model that \"default\" stands for, as provider/name. Empty: the first provider that has a key, else the offline demo."`
	AnthropicAPIKey  Secret   `group:"Models" env:"ANTHROPIC_API_KEY,CLAUDE_API_KEY" help:"Key for Anthropic's models."`
	AnthropicBaseURL string   `group:"Models" name:"anthropic-base-url" env:"ANTHROPIC_BASE_URL" help:"Another server that speaks Anthropic's protocol."`
	OpenAIAPIKey     Secret   `group:"Models" name:"openai-api-key" env:"OPENAI_API_KEY" help:"Key for OpenAI's models."`
	OpenAIBaseURL    string   `group:"Models" name:"openai-base-url" env:"OPENAI_BASE_URL" help:"Another server that speaks OpenAI's protocol, such as Ollama or vLLM."`
	GeminiAPIKey     Secret   `group:"Models" env:"GEMINI_API_KEY" help:"Key for Google's models."`
	GeminiBaseURL    string   `group:"Models" name:"gemini-base-url" env:"GEMINI_BASE_URL" help:"Another server that speaks Google's own protocol, for images, up to and with /v1beta."`
	StabilityAPIKey  Secret   `group:"Models" name:"stability-api-key" env:"STABILITY_API_KEY" help:"Key for Stability's image models."`
	StabilityBaseURL string   `group:"Models" name:"stability-base-url" env:"STABILITY_BASE_URL" help:"Another server that speaks Stability's protocol."`
	ImageModel       string   `group:"Models" name:"default-image-model" env:"DEFAULT_IMAGE_MODEL" help:"Model that makes images where none is named, as provider/name. Empty: the first provider that has a key, else the offline demo."`
	SpeechModel      string   `group:"Models" name:"default-speech-model" env:"DEFAULT_SPEECH_MODEL" help:"Model that speaks where none is named. Empty: as for images."`
	TranscribeModel  string   `group:"Models" name:"default-transcription-model" env:"DEFAULT_TRANSCRIPTION_MODEL" help:"Model that hears where none is named. Empty: as for images."`
	ModelEndpoints   []string `group:"Models" env:"STUDIO_MODEL_ENDPOINTS" help:"More servers that speak OpenAI's protocol, as name=url; the key of each is read from NAME_API_KEY."`
	ModelPrices      string   `group:"Models" env:"STUDIO_MODEL_PRICES" help:"JSON file with prices that replace the built-in ones."`
	ToolLimits       []string `group:"Tools" env:"STUDIO_TOOL_LIMITS" help:"How often one workspace may use a tool, instead of the tool's own limit: send_email=20/1h,web_search=60/1m,mcp/github/*=30/1m,mcp/*=off. Of several that fit a tool of an MCP server the most exact one counts. Shared by all processes through Redis, else counted in each."`
	Databases        []string `group:"Tools" env:"STUDIO_DATABASES" help:"Databases that workflows and agents may read from, by the names of their credentials: shop for every workspace, crm@workspace-id for one; with :write behind it they may change it too. The address of shop is in STUDIO_CREDENTIAL_SHOP: postgres://…, mysql://… or sqlite:///file."`
	JinaAPIKey       Secret   `group:"Tools" env:"JINA_API_KEY" help:"Key for web search and for reading pages through Jina."`
	JinaSearchURL    string   `group:"Tools" name:"jina-search-url" env:"JINA_SEARCH_URL" default:"https://s.jina.ai" help:"Server of the web search."`
	JinaReaderURL    string   `group:"Tools" name:"jina-reader-url" env:"JINA_READER_URL" default:"https://r.jina.ai" help:"Server that reads pages."`
}

// Complete fills in what follows from other settings and checks what no tag
// can say. It reports every fault it finds, but for what only the tools can tell:
// see Tools.
func (c *Config) Complete() error {
	var faults []error
	dir, err := expandHome(c.DataDir)
	if err != nil {
		faults = append(faults, err)
	}
	c.DataDir = dir
	if c.PublicURL == "" {
		c.PublicURL = "http://" + c.Addr
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		faults = append(faults, errors.New("STUDIO_PUBLIC_URL must be an address such as https://studio.example.org"))
	}
	for i, k := range c.SecretKeys {
		if len(k) < 32 {
			faults = append(faults, fmt.Errorf("SECRET_KEYS: key %d is shorter than 32 characters", i+1))
		}
	}
	if n := len(c.MetricsToken); n > 0 && n < 16 {
		faults = append(faults, errors.New("STUDIO_METRICS_TOKEN is shorter than 16 characters"))
	}
	if _, err := c.Proxies(); err != nil {
		faults = append(faults, err)
	}
	if _, err := c.Endpoints(); err != nil {
		faults = append(faults, err)
	}
	if _, err := c.Outbound(); err != nil {
		faults = append(faults, err)
	}
	if _, err := c.OpenDatabases(); err != nil {
		faults = append(faults, err)
	}
	if _, err := c.Storage(); err != nil {
		faults = append(faults, err)
	}
	if c.UploadMaxMiB < 0 || c.UploadMaxMiB > 40<<10 {
		faults = append(faults, errors.New("STUDIO_UPLOAD_MAX_MIB must be between 1 and 40960"))
	}
	if c.FilesQuotaMiB < 0 {
		faults = append(faults, errors.New("STUDIO_FILES_QUOTA_MIB must be 0, for no bound, or more"))
	}
	for name, address := range map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.OTLPEndpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": c.OTLPTraces} {
		if u, err := url.Parse(address); address != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			faults = append(faults, fmt.Errorf("%s must be an address such as http://127.0.0.1:4318", name))
		}
	}
	if c.Engine == "off" && c.DatabaseURL == "" {
		faults = append(faults, errors.New("STUDIO_ENGINE=off leaves the executions to workers on the same PostgreSQL database: set DATABASE_URL too"))
	}
	if c.MaxBodyMiB < 1 || c.MaxBodyMiB > 1024 {
		faults = append(faults, errors.New("STUDIO_MAX_BODY_MIB must be between 1 and 1024"))
	}
	return errors.Join(faults...)
}

// Proxies returns the trusted proxies as address ranges.
func (c *Config) Proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range c.TrustedProxies {
		if addr, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("STUDIO_TRUSTED_PROXIES: %q is neither an address nor a CIDR range", text)
		}
		out = append(out, prefix)
	}
	return out, nil
}

// Endpoint is a named server that speaks OpenAI's protocol.
type Endpoint struct {
	Name, URL string
	Key       Secret
}

// Endpoints returns the named model servers with their keys.
func (c *Config) Endpoints() ([]Endpoint, error) {
	var out []Endpoint
	for _, text := range c.ModelEndpoints {
		name, address, ok := strings.Cut(text, "=")
		if u, err := url.Parse(address); !ok || name == "" || err != nil || u.Host == "" {
			return nil, fmt.Errorf("STUDIO_MODEL_ENDPOINTS: %q is not of the form name=https://host/v1", text)
		}
		env := strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_API_KEY"
		key, _, err := fromEnv(env)
		if err != nil {
			return nil, err
		}
		out = append(out, Endpoint{Name: name, URL: address, Key: Secret(key)})
	}
	return out, nil
}

func expandHome(dir string) (string, error) {
	if rest, ok := strings.CutPrefix(dir, "~"); ok && (rest == "" || rest[0] == '/') {
		home, err := os.UserHomeDir()
		if err != nil {
			return dir, errors.New("there is no home directory: set STUDIO_DATA_DIR")
		}
		dir = filepath.Join(home, rest)
	}
	return filepath.Abs(dir)
}
