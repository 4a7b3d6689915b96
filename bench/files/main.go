// Command files streams a large file into the built binary and back, on disk
// and on a server that speaks S3, and weighs the server meanwhile.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"agentstudio/bench/studio"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	binary := flag.String("binary", "bin/agentstudio", "the server")
	gateway := flag.String("s3", "bin/versitygw-v1.8.0", "the S3 server; empty leaves S3 out")
	mib := flag.Int("mib", 2048, "size of the file")
	most := flag.Float64("most", 64, "MiB the server may grow by")
	dir := flag.String("dir", "", "where the files go; a temporary directory when empty")
	flag.Parse()
	err := run(ctx, *binary, *gateway, *dir, int64(*mib)<<20, *most)
	if err != nil {
		fmt.Fprintln(os.Stderr, "files:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, gateway, dir string, size int64, most float64) (err error) {
	scratch, err := os.MkdirTemp(dir, "studio-files-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	env := []string{fmt.Sprintf("STUDIO_UPLOAD_MAX_MIB=%d", size>>20), "STUDIO_UPLOAD_TYPES=*"}
	if err := measure(ctx, "disk", studio.Options{Binary: binary, Dir: filepath.Join(scratch, "disk"), Env: env}, size, most); err != nil || gateway == "" {
		return err
	}
	address, end, err := startS3(ctx, gateway, filepath.Join(scratch, "s3"))
	if err != nil {
		return err
	}
	defer end()
	env = append(env, "STORAGE_URL=s3://contents?path_style=true&region=us-east-1&endpoint=http://"+address, "STORAGE_ACCESS_KEY=studio", "STORAGE_SECRET_KEY=studio-secret")
	return measure(ctx, "S3", studio.Options{Binary: binary, Dir: filepath.Join(scratch, "s3-studio"), Env: env}, size, most)
}

func startS3(ctx context.Context, gateway, dir string) (address string, end func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = l.Addr().String()
	for _, folder := range []string{"meta", "data/contents"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(dir, folder), 0o700))
	}
	if err = errors.Join(err, l.Close()); err != nil {
		return "", nil, err
	}
	server := exec.CommandContext(ctx, gateway, "--quiet", "--access", "studio", "--secret", "studio-secret", "--port", address, "posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "data"))
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	end = func() { _ = server.Process.Kill(); _ = server.Wait() }
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(20 * time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return address, end, conn.Close()
		}
		if time.Now().After(deadline) {
			end()
			return "", nil, fmt.Errorf("the S3 server does not start: %w", err)
		}
	}
}

func measure(ctx context.Context, name string, o studio.Options, size int64, most float64) (err error) {
	s, err := studio.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Kill()) }()
	if err := s.SignIn(ctx, "bench@example.com"); err != nil {
		return err
	}
	if _, _, err := upload(ctx, s, "small.bin", 1<<20); err != nil { // what is made once is made
		return err
	}
	before, err := s.Memory()
	if err != nil {
		return err
	}
	peak := newPeak(s)
	began := time.Now()
	id, sum, err := upload(ctx, s, "large.bin", size)
	if err != nil {
		return err
	}
	up := time.Since(began)
	began = time.Now()
	got, err := download(ctx, s, id)
	if err != nil {
		return err
	}
	down, highest := time.Since(began), peak.end()
	mib := float64(size) / (1 << 20)
	grown := highest - mibOf(before)
	fmt.Printf("%s: %.0f MiB up in %.1f s (%.0f MiB/s), down in %.1f s (%.0f MiB/s); resident %.0f MiB before, %.0f at most: %.0f more\n",
		name, mib, up.Seconds(), mib/up.Seconds(), down.Seconds(), mib/down.Seconds(), mibOf(before), highest, grown)
	if got != sum {
		return fmt.Errorf("%s: what came back is not what was sent", name)
	}
	if grown > most {
		return fmt.Errorf("%s: the server grew by %.0f MiB; %.0f are allowed", name, grown, most)
	}
	return nil
}

// noise is bytes that no compression shortens, and their sum.
func noise(size int64) (io.Reader, hash.Hash) {
	sum := sha256.New()
	return io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), size), sum), sum
}

func upload(ctx context.Context, s *studio.Studio, name string, size int64) (id, sum string, err error) {
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	content, summed := noise(size)
	go func() {
		part, err := form.CreateFormFile("file", name)
		if err == nil {
			_, err = io.Copy(part, content)
		}
		w.CloseWithError(errors.Join(err, form.Close()))
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/api/v1/tools/files/upload", r)
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", "", err
	}
	var kept struct {
		ID     string `json:"id"`
		SHA256 string `json:"sha256"`
	}
	if err := json.Unmarshal(text, &kept); err != nil || resp.StatusCode != http.StatusCreated {
		return "", "", fmt.Errorf("upload: %s: %s", resp.Status, text)
	}
	if sum = hex.EncodeToString(summed.Sum(nil)); kept.SHA256 != sum {
		return "", "", fmt.Errorf("upload: the server counted %s, sent was %s", kept.SHA256, sum)
	}
	return kept.ID, sum, nil
}

func download(ctx context.Context, s *studio.Studio, id string) (sum string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/tools/files/"+id+"?download=1", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	h := sha256.New()
	_, err = io.Copy(h, resp.Body)
	return hex.EncodeToString(h.Sum(nil)), err
}
