package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Two requests in three are searches, one is a checkout of a cart with this many lines.
const (
	checkoutShare = 1.0 / 3
	cartLines     = 120
)

// sendCustomers makes perSecond requests a second on average, at random times, until ctx ends, and closes the channel
// when the last has returned.
func sendCustomers(ctx context.Context, shopURL string, perSecond float64) <-chan struct{} {
	gone := make(chan struct{})
	if perSecond <= 0 {
		close(gone)
		return gone
	}
	go func() {
		defer close(gone)
		var visits sync.WaitGroup
		defer visits.Wait()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(rand.ExpFloat64() / perSecond * float64(time.Second))):
				visits.Go(func() { visit(ctx, shopURL) })
			}
		}
	}()
	return gone
}

// visit makes one request; whether it succeeds is for the spans to tell.
func visit(ctx context.Context, shopURL string) {
	method, path, body := http.MethodGet, "/items", []byte(nil)
	if rand.Float64() < checkoutShare {
		method, path, body = http.MethodPost, "/checkout", inventCart()
	}
	request, err := http.NewRequestWithContext(ctx, method, shopURL+path, bytes.NewReader(body))
	if err != nil {
		return
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
}

func inventCart() []byte {
	lines := make([]line, cartLines)
	for i := range lines {
		lines[i] = line{ID: rand.IntN(catalogueSize), Count: 1 + rand.IntN(3)}
	}
	cart, _ := json.Marshal(lines)
	return cart
}
