package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
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
	columns   map[string][]int // by table; nil until the tables are there
	seed      maphash.Seed
	counts    [numCounters]atomic.Uint64

	// Of the transaction that has the writing connection:
	touched *touched
	read    []any // values of a row, used again
}

const numCounters = 4096

func newChanges(exclusive bool) *changes {
	return &changes{exclusive: exclusive, seed: maphash.MakeSeed()}
}

// touched are the counters that one transaction has to raise, a bit for each.
type touched [numCounters / 64]uint64

func (t *touched) add(counter uint16) { t[counter/64] |= 1 << (counter % 64) }

func (c *changes) counter(of subject) uint16 {
	return uint16((maphash.String(c.seed, of.table)*31 + maphash.String(c.seed, of.value)) % numCounters)
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
	columns := map[string][]int{}
	for table, names := range watchedBy() {
		columns[table] = []int{}
		for _, name := range names {
			var at int
			if err := db.QueryRowContext(ctx, `SELECT cid FROM pragma_table_info($1) WHERE name = $2`, table, name).Scan(&at); err != nil {
				return fmt.Errorf("find column %s.%s: %w", table, name, err)
			}
			columns[table] = append(columns[table], at)
		}
	}
	c.columns = columns
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
	for i, word := range t {
		for ; word != 0; word &= word - 1 {
			c.counts[64*i+bits.TrailingZeros64(word)].Add(1)
		}
	}
}

// row hears of every row that the writing connection is about to change.
func (c *changes) row(d sqlite.SQLitePreUpdateData) {
	columns, watched := c.columns[d.TableName]
	if !watched || c.touched == nil {
		return
	}
	c.touched.add(c.counter(subject{table: d.TableName}))
	if len(columns) == 0 {
		return
	}
	if d.Op != lib.SQLITE_INSERT {
		c.values(d.TableName, columns, d.Old)
	}
	if d.Op != lib.SQLITE_DELETE {
		c.values(d.TableName, columns, d.New)
	}
}

func (c *changes) values(table string, columns []int, read func(...any) error) {
	c.read = slices.Grow(c.read[:0], slices.Max(columns)+1)[:slices.Max(columns)+1]
	if err := read(c.read...); err != nil { // it is not known what changes: all does
		for i := range c.touched {
			c.touched[i] = ^uint64(0)
		}
		return
	}
	for _, at := range columns {
		value, _ := c.read[at].(string)
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
