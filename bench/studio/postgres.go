package studio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"agentstudio/internal/store"
)

// PostgresCPU returns the processor time that the server behind the database,
// which must be on this machine, has used: its processes for connections that
// have ended included.
func PostgresCPU(ctx context.Context, db *store.DB) (time.Duration, error) {
	var backend int
	if err := db.Read().QueryRowContext(ctx, `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		return 0, err
	}
	self := processStat(backend)
	if self == nil {
		return 0, errors.New("the database is not on this machine")
	}
	master := self[1]
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	ticks := 0
	for _, dir := range all {
		id := filepath.Base(dir)
		number, _ := strconv.Atoi(id)
		stat := processStat(number)
		switch {
		case stat == nil:
		case id == master:
			ticks += sum(stat[11:15])
		case stat[1] == master:
			ticks += sum(stat[11:13])
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// processStat returns the fields of /proc/ID/stat after the name: the state,
// the parent, and from the twelfth on the ticks of 10 ms spent (proc(5)); nil
// when there is no such process.
func processStat(id int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	if fields := strings.Fields(rest); len(fields) > 15 {
		return fields
	}
	return nil
}

func sum(numbers []string) (total int) {
	for _, s := range numbers {
		n, _ := strconv.Atoi(s)
		total += n
	}
	return total
}
