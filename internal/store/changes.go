package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
	"sync/atomic"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// subject names rows that are read or changed together: those of a table that
// have a value in one of the columns it is watched by. Without a value it is
// the whole table.
type subject struct{ table, value string }

// watchedBy are the tables whose changes are counted, with the columns by
// whose values their rows are told apart.
func watchedBy() map[string][]string {
	return map[string][]string{
		"executions":        {"id", "workspace_id"},
		"node_executions":   {"execution_id"},
		"workflows":         {"id", "workspace_id"},
		"workflow_versions": {"workflow_id"},
		"webhooks":          {"workflow_id"},
		"workspaces":        {},
		"users":             {"id"},
	}
}

// changes counts the changes of subjects where one process has the database to
// itself: on SQLite, whose data directory is locked and whose only writing
// connection tells of each row that it changes, those of cascades included.
// Subjects share a fixed number of counters, so that one may seem changed which
// is not, and never the other way round.
//
// A count goes up after the commit and before Write returns: whoever has been
// told of a change finds it counted.
type changes struct {
	exclusive bool
	tables    map[string]watched // nil until they are there
	seed      maphash.Seed
	counts    [counters]atomic.Uint64
	touched   *touched // by the transaction that has the writing connection
}

const counters = 4096

// watched is a table whose changes are counted.
type watched struct {
	whole   uint16 // its counter
	columns []int  // that tell its rows apart
	row     []any  // up to the last of them; for the writing connection
}

func newChanges(exclusive bool) *changes {
	return &changes{exclusive: exclusive, seed: maphash.MakeSeed()}
}

// touched are counters that one transaction has to raise, a bit for each.
type touched struct {
	words [counters / 64]uint64
	all   bool
}

func (t *touched) add(counter uint16) { t.words[counter/64] |= 1 << (counter % 64) }

func (c *changes) counter(of subject) uint16 {
	return uint16(maphash.Comparable(c.seed, of) % uint64(len(c.counts)))
}

// state implements versions.
func (c *changes) state(_ context.Context, of ...subject) (sum uint64, known bool) {
	for _, s := range of {
		sum += c.counts[c.counter(s)].Load() // none ever goes down
	}
	return sum, true
}

// watch begins to count, once the tables are there. Nothing may be written
// meanwhile.
func (c *changes) watch(ctx context.Context, db *Reader) error {
	if !c.exclusive {
		return nil
	}
	tables := map[string]watched{}
	for table, names := range watchedBy() {
		w := watched{whole: c.counter(subject{table: table})}
		for _, name := range names {
			var at int
			if err := db.QueryRowContext(ctx, `SELECT cid FROM pragma_table_info($1) WHERE name = $2`, table, name).Scan(&at); err != nil {
				return fmt.Errorf("find column %s.%s: %w", table, name, err)
			}
			w.columns = append(w.columns, at)
			w.row = make([]any, max(len(w.row), at+1))
		}
		tables[table] = w
	}
	c.tables = tables
	return nil
}

// begin names the transaction that has the writing connection from now on.
func (c *changes) begin() *touched {
	if !c.exclusive {
		return nil
	}
	c.touched = &touched{}
	return c.touched
}

// end counts what a transaction has changed. It is called for one that failed
// as well: its commit may have been stored and not answered.
func (c *changes) end(t *touched) {
	if t == nil {
		return
	}
	for i, word := range t.words {
		if t.all {
			word = math.MaxUint64
		}
		for ; word != 0; word &= word - 1 {
			c.counts[i*64+bits.TrailingZeros64(word)].Add(1)
		}
	}
}

// row hears of every row that the writing connection is about to change.
func (c *changes) row(d sqlite.SQLitePreUpdateData) {
	w, is := c.tables[d.TableName]
	if !is || c.touched == nil {
		return
	}
	c.touched.add(w.whole)
	if len(w.columns) == 0 {
		return
	}
	if d.Op != lib.SQLITE_INSERT {
		c.values(d.TableName, w, d.Old)
	}
	if d.Op != lib.SQLITE_DELETE {
		c.values(d.TableName, w, d.New)
	}
}

func (c *changes) values(table string, w watched, read func(...any) error) {
	if err := read(w.row...); err != nil { // it is not known what changes: all does
		c.touched.all = true
		return
	}
	for _, at := range w.columns {
		value, _ := w.row[at].(string)
		c.touched.add(c.counter(subject{table, value}))
	}
}

// told connects so that every connection tells of the rows it changes.
type told struct {
	driver.Connector
	row sqlite.PreUpdateHookFn
}

// Connect implements driver.Connector.
func (t told) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := t.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	hooks, ok := conn.(sqlite.HookRegisterer)
	if !ok {
		return nil, fmt.Errorf("this SQLite does not tell of changes")
	}
	hooks.RegisterPreUpdateHook(t.row)
	return conn, nil
}
