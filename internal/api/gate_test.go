package api_test

import "sync"

// doors are what gate nodes wait at, by name.
type doors struct {
	mu   sync.Mutex
	open map[string]chan struct{}
}

func (d *doors) of(name string) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		d.open = map[string]chan struct{}{}
	}
	if d.open[name] == nil {
		d.open[name] = make(chan struct{})
	}
	return d.open[name]
}

// pass lets everything through the gate, once and for all.
func (s *studio) pass(name string) { close(s.gates.of(name)) }
