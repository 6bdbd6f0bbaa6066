package main

import (
	"context"
	"sync"
	"time"
)

// sessionBytes is what a remembered session takes.
const sessionBytes = 64 << 10

// leakSwitches says which faults the service has.
type leakSwitches struct {
	goroutines bool
	heap       bool
}

// leaks are two faults as they are found in real services, each behind its switch.
type leaks struct {
	leakSwitches
	lock     sync.Mutex
	sessions [][]byte
}

// rememberSession keeps the session of every customer and forgets none.
func (l *leaks) rememberSession(receipt string) {
	session := make([]byte, sessionBytes)
	copy(session, receipt)
	if !l.heap {
		return
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	l.sessions = append(l.sessions, session)
}

// notifyWarehouse waits for an answer no longer than patience. The fault: the answer goes into a channel without a
// buffer, so when nobody waits any more the goroutine that sends it never ends. Room for one answer repairs it.
func (l *leaks) notifyWarehouse(ctx context.Context, receipt string) {
	const patience, delay = time.Millisecond, 3 * time.Millisecond
	room := 1
	if l.goroutines {
		room = 0
	}
	answer := make(chan string, room)
	go askWarehouse(answer, receipt, delay)
	select {
	case <-answer:
	case <-time.After(patience):
	case <-ctx.Done():
	}
}

func askWarehouse(answer chan<- string, receipt string, delay time.Duration) {
	time.Sleep(delay)
	answer <- receipt
}
