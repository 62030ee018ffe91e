package knobs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Set is a knob that has been turned.
type Set struct {
	ID  int
	Hit int // requests so far
	Knob

	end chan struct{} // closed to end what it does in the background
}

// Board holds the knobs of all services. Its zero value is ready, and many
// goroutines may use it.
type Board struct {
	mu       sync.Mutex
	services []*Service
	set      []*Set
	lastID   int
}

// ErrUnknown: there is no such service, operation or knob.
var ErrUnknown = errors.New("not known here")

// Service returns the service of that name, or nil.
func (b *Board) Service(name string) *Service {
	services := b.Services()
	if i := slices.IndexFunc(services, func(s *Service) bool { return s.Name == name }); i >= 0 {
		return services[i]
	}
	return nil
}

// Services returns all of them, in the order in which they were added.
func (b *Board) Services() []*Service {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.services)
}

// Turn sets the knob that a line describes. Of faults, the first that hits a
// request is the one that counts; a new skew or rollover replaces the old one.
func (b *Board) Turn(line string) (Set, error) {
	k, err := Parse(line)
	if err != nil {
		return Set{}, err
	}
	s := b.Service(k.Service)
	if s == nil {
		return Set{}, fmt.Errorf("knob %q: service %q: %w, only %s", line, k.Service, ErrUnknown, oneOf(b.names()))
	}
	if k.Operation != "" && !slices.Contains(s.Operations, k.Operation) {
		return Set{}, fmt.Errorf("knob %q: operation %q: %w, only %s", line, k.Operation, ErrUnknown, oneOf(s.Operations))
	}
	switch {
	case k.Skew != 0 && s.NoClock:
		return Set{}, fmt.Errorf("knob %q: %s has no clock to skew", line, k.Service)
	case k.Rollover && s.RollKeys == nil:
		return Set{}, fmt.Errorf("knob %q: %s has no keys to roll", line, k.Service)
	case k.Limits != "" && s.Limit == nil:
		return Set{}, fmt.Errorf("knob %q: %s has no limits", line, k.Service)
	case k.Rollover:
		if err := s.RollKeys(); err != nil {
			return Set{}, err
		}
	}
	once := k.Rollover && k.Every == 0
	b.mu.Lock()
	defer b.mu.Unlock()
	if !once {
		b.remove(func(other *Set) bool { return k.replaces(other.Knob) })
	}
	b.lastID++
	turned := &Set{ID: b.lastID, Knob: k, end: make(chan struct{})}
	if once {
		return *turned, nil // done, nothing stays
	}
	b.set = append(b.set, turned)
	if k.Rollover {
		go turned.roll(s.RollKeys)
	}
	if k.Limits != "" {
		s.Limit(k.Limits)
	}
	return *turned, nil
}

func (s *Set) roll(rollKeys func() error) {
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		select {
		case <-s.end:
			return
		case <-tick.C:
			_ = rollKeys() // fails only without randomness
		}
	}
}

// Knobs returns what is set, oldest first.
func (b *Board) Knobs() []Set {
	b.mu.Lock()
	defer b.mu.Unlock()
	knobs := []Set{}
	for _, s := range b.set {
		knobs = append(knobs, *s)
	}
	return knobs
}

// Clear takes away the knob with this id, all those of the service of this name,
// or, when which is empty, all. The error is ErrUnknown.
func (b *Board) Clear(which string) error {
	id, _ := strconv.Atoi(which)
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.remove(func(s *Set) bool { return which == "" || s.ID == id || s.Service == which })
	known := which == "" || slices.ContainsFunc(b.services, func(s *Service) bool { return s.Name == which })
	if n == 0 && !known {
		return fmt.Errorf("knob %q: %w", which, ErrUnknown)
	}
	return nil
}

// remove takes away the knobs that match. With mu held.
func (b *Board) remove(match func(*Set) bool) (removed int) {
	b.set = slices.DeleteFunc(b.set, func(s *Set) bool {
		if !match(s) {
			return false
		}
		close(s.end)
		if s.Limits != "" {
			b.services[slices.IndexFunc(b.services, func(of *Service) bool { return of.Name == s.Service })].Limit("")
		}
		removed++
		return true
	})
	return removed
}

// fault picks what becomes of a request, if anything.
func (b *Board) fault(service, operation string) (Knob, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.set {
		spent := s.Times > 0 && s.Hit >= s.Times
		if s.Service != service || !s.hits(operation) || spent || rand.Float64() >= s.Probability {
			continue
		}
		s.Hit++
		return s.Knob, true
	}
	return Knob{}, false
}

// skew is how far the clock of a service is ahead.
func (b *Board) skew(service string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.set {
		if s.Service == service && s.Skew != 0 {
			return s.Skew
		}
	}
	return 0
}

func (b *Board) names() (names []string) {
	for _, s := range b.Services() {
		names = append(names, s.Name)
	}
	return names
}
