package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"agentstudio/internal/fault"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// partBytes is the size of the pieces a content travels in. S3 takes 10,000 of
// them at most: 48 GiB.
const partBytes = 5 << 20

// S3Config says where contents are kept.
type S3Config struct {
	Endpoint  string // host, or host:port
	Insecure  bool   // plain HTTP
	Region    string
	Bucket    string
	Prefix    string // of the keys in the bucket; may be empty
	AccessKey string
	SecretKey string
	PathStyle bool // host/bucket/key instead of bucket.host/key
}

// S3 keeps contents in a bucket of a server that speaks S3. It is safe for
// concurrent use.
type S3 struct {
	core   *minio.Core
	bucket string
	prefix string
}

// NewS3 returns the contents of a bucket. Nothing is asked of the server yet.
func NewS3(cfg S3Config) (*S3, error) {
	lookup := minio.BucketLookupAuto
	if cfg.PathStyle {
		lookup = minio.BucketLookupPath
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck,forcetypeassert // it is one
	transport.ResponseHeaderTimeout = time.Minute
	transport.MaxIdleConnsPerHost = 32
	transport.DisableCompression = true // contents come as they are
	core, err := minio.NewCore(cfg.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Secure: !cfg.Insecure,
		Region: cfg.Region, BucketLookup: lookup, Transport: transport, MaxRetries: 4})
	if err != nil {
		return nil, fmt.Errorf("content store: %w", err)
	}
	return &S3{core: core, bucket: cfg.Bucket, prefix: cfg.Prefix}, nil
}

// Check says why contents cannot be kept: NotFound when there is no such
// bucket, Upstream when the keys may not use it, Unavailable when the server
// does not answer.
func (s *S3) Check(ctx context.Context) error {
	there, err := s.core.BucketExists(ctx, s.bucket)
	if err != nil {
		return s.explain(err)
	}
	if !there {
		return fault.New(fault.NotFound, "the content store has no bucket %s: make it, or change STORAGE_URL", s.bucket)
	}
	return nil
}

func (s *S3) explain(err error) error {
	said := minio.ToErrorResponse(err)
	switch {
	case err == nil || fault.As(err) != nil || errors.Is(err, context.Canceled):
		return err
	case said.Code == minio.NoSuchKey:
		return missing(err)
	case said.Code == minio.NoSuchBucket:
		return fault.Wrap(fault.Unavailable, err, "the content store has no bucket %s", s.bucket)
	case said.StatusCode == http.StatusForbidden || said.StatusCode == http.StatusUnauthorized:
		return fault.Wrap(fault.Upstream, err, "the content store refuses the studio's keys (%s)", said.Code)
	}
	return fault.Wrap(fault.Unavailable, err, "the content store does not answer; try again in a moment")
}

// Put keeps everything r gives under a new key, whole or not at all.
func (s *S3) Put(ctx context.Context, key string, r io.Reader) error {
	if err := checkKey(key); err != nil {
		return err
	}
	var head bytes.Buffer
	n, err := io.CopyN(&head, r, partBytes)
	options := minio.PutObjectOptions{ContentType: "application/octet-stream"}
	switch {
	case errors.Is(err, io.EOF): // it fits into one piece
		_, err = s.core.Client.PutObject(ctx, s.bucket, s.prefix+key, bytes.NewReader(head.Bytes()), n, options)
		return s.explain(err)
	case err != nil:
		return err
	}
	options.PartSize, options.NumThreads = partBytes, 1
	_, err = s.core.Client.PutObject(ctx, s.bucket, s.prefix+key, io.MultiReader(&head, r), -1, options)
	return s.explain(err)
}

// Delete removes a content and what was left of a Put that was cut off.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := s.core.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{}); err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchKey {
		return s.explain(err)
	}
	if err := s.core.RemoveIncompleteUpload(ctx, s.bucket, s.prefix+key); err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchUpload {
		return s.explain(err)
	}
	return nil
}

// Open returns the content for reading. NotFound: there is none.
func (s *S3) Open(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	info, err := s.core.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
	if err != nil {
		return nil, s.explain(err)
	}
	return &object{ctx: ctx, s: s, key: key, size: info.Size}, nil
}

// object reads a content from where it is sought; a request is made with the
// first read after.
type object struct {
	ctx  context.Context //nolint:containedctx // an io.Reader has no other place for it
	s    *S3
	key  string
	size int64
	at   int64
	body io.ReadCloser // nil until it is read from
}

func (o *object) Read(p []byte) (int, error) {
	if o.at >= o.size {
		return 0, io.EOF
	}
	if o.body == nil {
		options := minio.GetObjectOptions{}
		if o.at > 0 {
			if err := options.SetRange(o.at, 0); err != nil {
				return 0, err
			}
		}
		body, _, _, err := o.s.core.GetObject(o.ctx, o.s.bucket, o.s.prefix+o.key, options)
		if err != nil {
			return 0, o.s.explain(err)
		}
		o.body = body
	}
	n, err := o.body.Read(p)
	o.at += int64(n)
	if errors.Is(err, io.EOF) && o.at < o.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek before the beginning of content %s", o.key)
	}
	if offset != o.at {
		if err := o.Close(); err != nil {
			return 0, err
		}
		o.at = offset
	}
	return offset, nil
}

func (o *object) Close() error {
	if o.body == nil {
		return nil
	}
	err := o.body.Close()
	o.body = nil
	return err
}
