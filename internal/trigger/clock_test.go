package trigger_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func TestAClockThatJumpsFiresNoTickTwiceAndLosesNone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r, c, l := alone(t, db)
		id := r.publish("schedule-trigger", `{"cron":"*/10 * * * *","time_zone":"UTC","catch_up":"all"}`)
		look(t, l)
		other := newReplica(t, db, c.now).runner.Schedules()
		t.Cleanup(other.Close)
		at := func(after time.Duration) {
			t.Helper()
			c.set(noon.Add(after))
			look(t, l)
			look(t, other)
		}
		fired := func(want ...string) {
			t.Helper()
			var got []string
			for _, x := range r.started(id) {
				var data struct {
					At time.Time `json:"scheduled_for"`
				}
				if err := json.Unmarshal(x.TriggerData, &data); err != nil {
					t.Fatal(err)
				}
				got = append(got, data.At.Format("15:04"))
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("fired %v, want %v", got, want)
			}
		}
		at(10 * time.Minute)
		fired("12:10")
		at(-50 * time.Minute) // an hour back
		at(-40 * time.Minute)
		at(10 * time.Minute) // there again
		fired("12:10")
		at(20 * time.Minute)
		fired("12:10", "12:20")
		at(80 * time.Minute) // an hour forward
		all := []string{"12:10", "12:20", "12:30", "12:40", "12:50", "13:00", "13:10", "13:20"}
		fired(all...)
		at(20 * time.Minute) // and back
		at(81 * time.Minute)
		fired(all...)
	})
}
