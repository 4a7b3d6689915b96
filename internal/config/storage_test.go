package config_test

import (
	"fmt"
	"strings"
	"testing"

	"agentstudio/internal/config"
)

func TestStorageIsRead(t *testing.T) {
	for text, want := range map[string]config.Storage{
		"":                 {Folder: "/data/contents"},
		"file:///srv/a/":   {Folder: "/srv/a"},
		"s3://b?region=eu": {Bucket: "b", Endpoint: "s3.amazonaws.com", Region: "eu", AccessKey: "a", SecretKey: "s"},
		"s3://b/in/here?endpoint=http://127.0.0.1:9000&path_style=true": {Bucket: "b", Prefix: "in/here/", Endpoint: "127.0.0.1:9000", Insecure: true, PathStyle: true, AccessKey: "a", SecretKey: "s"},
	} {
		c := config.Config{DataDir: "/data", StorageURL: config.Secret(text), StorageAccessKey: "a", StorageSecretKey: "s"}
		if got, err := c.Storage(); err != nil || got != want {
			t.Errorf("%q: got %#v, %v", text, got, err)
		}
	}
}

func TestStorageThatIsNoneIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"ftp://x":                     "begins with file:// or s3://",
		"file://host/a":               "file:///the/whole/path",
		"s3://":                       "the bucket is missing",
		"s3://k:hunter2@b":            "keys do not stand in the address",
		"s3://b?endpoint=minio":       "endpoint is an address",
		"s3://b?endpoint=https://x/y": "endpoint is an address",
		"s3://b?path_style=often":     "path_style is true or false",
		"s3://b?acl=public":           "there is no parameter \"acl\"",
		"s3://%zz hunter2":            "cannot be read",
	} {
		c := config.Config{DataDir: "/data", StorageURL: config.Secret(text), StorageAccessKey: "a", StorageSecretKey: "s"}
		_, err := c.Storage()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%q: got %v", text, err)
		}
	}
	c := config.Config{StorageURL: "s3://b"}
	if _, err := c.Storage(); err == nil || !strings.Contains(err.Error(), "STORAGE_SECRET_KEY") {
		t.Errorf("without keys: %v", err)
	}
}
