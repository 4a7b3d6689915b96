package store

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"
)

const (
	// maxRecalled bounds what is kept of what was read, in estimated bytes.
	maxRecalled = 8 << 20
	// largestRecalled bounds one thing that is kept.
	largestRecalled = 128 << 10
	// recalledFor is how long it is kept without being asked for.
	recalledFor = 5 * time.Minute
)

// versions tells whether something was changed.
type versions interface {
	// state is a number that never comes back once one of the subjects has
	// changed. Whatever was committed before the call is in it. False: that is not
	// known just now.
	state(ctx context.Context, of ...subject) (uint64, bool)
}

// recall keeps what queries have returned until one of the rows it was made of
// is changed, so that what is asked for again and again is read once. Who may see
// it is not its business: that is judged at every request, before and without it.
type recall struct {
	versions versions
	cache    *otter.Cache[question, recalled]
}

// question is what was asked, down to each value that the answer depends on.
type question struct {
	what, workspaceID, id string
	version               int64
	limit, offset         int
	filter                any // comparable
}

type recalled struct {
	state  uint64 // of the subjects, before it was read
	answer any
	size   uint32
}

func newRecall(versions versions) *recall {
	return &recall{versions: versions, cache: otter.Must(&otter.Options[question, recalled]{MaximumWeight: maxRecalled,
		Weigher:          func(_ question, r recalled) uint32 { return r.size },
		ExpiryCalculator: otter.ExpiryAccessing[question, recalled](recalledFor),
		Executor:         func(upkeep func()) { upkeep() }})}
}

// current returns the answer to q as read gives it, or gave it since the last
// change of the subjects, which must be all it is made of. The answer is shared:
// nobody may change what it leads to. read tells its size too, roughly, in bytes.
func current[T any](ctx context.Context, r *recall, q question, of []subject, read func() (answer T, size int, err error)) (T, error) {
	state, known := r.versions.state(ctx, of...)
	if !known {
		answer, _, err := read()
		return answer, err
	}
	return keep(r, q, state, read)
}

// lasting is current, on either engine, for what stays as it is while q's id
// and version are there, of which the caller has just made sure.
func lasting[T any](r *recall, q question, read func() (answer T, size int, err error)) (T, error) {
	return keep(r, q, 0, read)
}

func keep[T any](r *recall, q question, state uint64, read func() (answer T, size int, err error)) (T, error) {
	if kept, there := r.cache.GetIfPresent(q); there && kept.state == state {
		return kept.answer.(T), nil
	}
	answer, size, err := read()
	if size += 200; err == nil && size <= largestRecalled {
		r.cache.Set(q, recalled{state, answer, uint32(size)})
	}
	return answer, err
}
