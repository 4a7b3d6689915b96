package config

import (
	"errors"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// Storage is where the contents of files are kept: in a Folder, or in a Bucket.
type Storage struct {
	Folder string

	Bucket    string
	Prefix    string // of the keys; empty, or ends with a slash
	Endpoint  string // host, or host:port
	Insecure  bool   // plain HTTP
	Region    string
	PathStyle bool
	AccessKey Secret
	SecretKey Secret
}

// Storage reads STORAGE_URL and its keys. The text of the address is never
// repeated: people write keys into it.
func (c *Config) Storage() (Storage, error) {
	text := c.StorageURL.Reveal()
	if text == "" {
		return Storage{Folder: filepath.Join(c.DataDir, "contents")}, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return Storage{}, errors.New("STORAGE_URL cannot be read: write file:///folder or s3://bucket?endpoint=https://host")
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" {
			return Storage{}, errors.New("STORAGE_URL: a folder is written file:///the/whole/path")
		}
		return Storage{Folder: filepath.Clean(u.Path)}, nil
	case "s3":
		return c.bucket(u)
	}
	return Storage{}, errors.New("STORAGE_URL begins with file:// or s3://")
}

func (c *Config) bucket(u *url.URL) (Storage, error) {
	var faults []error
	say := func(text string) { faults = append(faults, errors.New("STORAGE_URL: "+text)) }
	s := Storage{Bucket: u.Hostname(), Endpoint: "s3.amazonaws.com", AccessKey: c.StorageAccessKey, SecretKey: c.StorageSecretKey}
	if s.Prefix = strings.Trim(u.Path, "/"); s.Prefix != "" {
		s.Prefix += "/"
	}
	if u.User != nil {
		say("keys do not stand in the address: set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY")
	}
	if s.Bucket == "" || u.Port() != "" {
		say("the bucket is missing: write s3://bucket?endpoint=https://host")
	}
	for name, values := range u.Query() {
		switch value := values[0]; name {
		case "endpoint":
			e, err := url.Parse(value)
			if err != nil || e.Host == "" || e.Scheme != "http" && e.Scheme != "https" || strings.Trim(e.Path, "/") != "" {
				say("endpoint is an address without a path, such as https://minio.example.org:9000")
				continue
			}
			s.Endpoint, s.Insecure = e.Host, e.Scheme == "http"
		case "region":
			s.Region = value
		case "path_style":
			on, err := strconv.ParseBool(value)
			if err != nil {
				say("path_style is true or false")
			}
			s.PathStyle = on
		default:
			say("there is no parameter " + strconv.Quote(name) + "; there are endpoint, region and path_style")
		}
	}
	if s.AccessKey == "" || s.SecretKey == "" {
		faults = append(faults, errors.New("STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY are needed for s3://"))
	}
	return s, errors.Join(faults...)
}
