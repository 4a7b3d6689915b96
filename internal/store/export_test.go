package store

import "context"

// Restless asks for snapshots while things change, too, which needs no quiet
// database to see what is kept between two changes.
func (db *DB) Restless() {
	if s, ok := db.recall.versions.(*snapshots); ok {
		s.unrest = 0
	}
}

// Current is what reads go through.
func (db *DB) Current(ctx context.Context, id string, read func() (string, error)) (string, error) {
	return current(ctx, db.recall, question{what: "test", id: id}, []subject{{"users", id}}, func() (string, int, error) {
		text, err := read()
		return text, len(text), err
	})
}
