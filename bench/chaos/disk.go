package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// diskSize is how large the file system of the data is: SQLite's log alone may
// take 16 MB.
const diskSize = "48m"

// diskFault fills the file system that the data directory is on, and makes room
// again. The file system is one of its own, in memory, that only this program's
// child and the server see.
func (c *chaos) diskFault(ctx context.Context) error {
	if !c.inside {
		return c.inNamespace(ctx)
	}
	// Without this the mount would show outside.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := syscall.Mount("chaos", c.dir, "tmpfs", 0, "size="+diskSize); err != nil {
		return fmt.Errorf("mount a small file system: %w", err)
	}
	err := c.fillings(ctx)
	return errors.Join(err, syscall.Unmount(c.dir, syscall.MNT_DETACH))
}

// inNamespace runs the program again where it may mount.
func (c *chaos) inNamespace(ctx context.Context) error {
	again := exec.CommandContext(ctx, "/proc/self/exe", append(os.Args[1:], "-inside")...) //nolint:gosec // this program
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		again.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		again.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		again.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if err := again.Run(); err != nil {
		return fmt.Errorf("in a namespace of its own: %w", err)
	}
	c.sum.elsewhere = true
	return nil
}

func (c *chaos) fillings(ctx context.Context) (err error) {
	f := &front{chaos: c}
	defer func() { err = errors.Join(err, f.shut()) }()
	if err := f.open(ctx, 1, 0, false); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.Join(c.dir, "studio.db"), RawQuery: "_pragma=busy_timeout(10000)&_pragma=query_only(1)"}).String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	loading, enough := context.WithCancel(ctx)
	p := press(loading, f.servers, f.workflow)
	p.writes = true
	err = func() error {
		defer p.wait()
		defer enough()
		for range c.kills {
			if err := wait(ctx, f.between(2*time.Second, 4*time.Second)); err != nil {
				return err
			}
			if err := f.look(ctx, db); err != nil {
				return err
			}
			c.sum.kills++
			if err := f.full(ctx, p); err != nil {
				return err
			}
		}
		return wait(ctx, 2*time.Second)
	}()
	if err != nil {
		return err
	}
	if err := f.conclude(ctx, p, db); err != nil {
		return err
	}
	hits := c.effects.copy()
	most := 0
	for _, n := range hits {
		most = max(most, n)
	}
	f.sum.notes += fmt.Sprintf("the most often that one node reached outside: %d\n", most)
	return nil
}

// full fills the disk until writes are refused, rests, and makes room.
func (f *front) full(ctx context.Context, p *pressure) error {
	p.set(changing)
	before := p.told()
	ballast := filepath.Join(f.dir, "ballast")
	began := time.Now()
	for p.told()["POST 503"] == before["POST 503"] {
		if err := fill(ballast); err != nil {
			return err
		}
		if time.Since(began) > time.Minute {
			return errors.New("the disk is full for a minute and nothing was refused")
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	if err := errors.Join(fill(ballast), wait(ctx, 200*time.Millisecond)); err != nil {
		return err
	}
	from := p.told()
	p.set(broken)
	if err := wait(ctx, f.between(3*time.Second, 6*time.Second)); err != nil {
		return err
	}
	p.set(changing)
	now := p.told()
	during := func(kind string) string { return strconv.Itoa(now[kind] - from[kind]) }
	f.sum.notes += fmt.Sprintf("full: POST %s × 202, %s × 503; GET %s × 200; /readyz %s × ready, %s × not\n", during("POST 202"), during("POST 503"), during("GET 200"), during("readyz 200"), during("readyz 503"))
	if err := os.Remove(ballast); err != nil {
		return err
	}
	p.set(whole)
	return nil
}

// fill takes all the room there is.
func fill(name string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	for _, size := range []int{1 << 20, 4 << 10} {
		for piece := slices.Repeat([]byte{1}, size); err == nil; {
			_, err = file.Write(piece)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return errors.Join(err, file.Close())
		}
		err = nil
	}
	return file.Close()
}
