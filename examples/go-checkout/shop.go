package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	catalogueSize = 4000
	pageSize      = 400
	databaseDelay = 8 * time.Millisecond
)

// shop holds what the handlers share. The stock is guarded by one lock on purpose: the mutex profile shows it.
type shop struct {
	items []item
	stock map[int]int
	lock  sync.Mutex
	leaks leaks
}

func newShop(switches leakSwitches) *shop {
	items := inventItems(catalogueSize)
	stock := make(map[int]int, len(items))
	for _, it := range items {
		stock[it.ID] = 1 << 30
	}
	return &shop{items: items, stock: stock, leaks: leaks{leakSwitches: switches}}
}

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/checkout", traced("/checkout", s.checkout))
	mux.Handle("/items", traced("/items", s.listItems))
	return mux
}

// traced puts a server span around a handler and continues the trace of the caller.
func traced(route string, handle func(context.Context, http.ResponseWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		inSpan(ctx, r.Method+" "+route, trace.SpanKindServer, func(ctx context.Context, span trace.Span) {
			span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", route))
			handle(ctx, w, r)
		})
	})
}

// checkout prices a cart, takes the items out of stock, charges the card and tells the warehouse.
func (s *shop) checkout(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	var lines []line
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&lines); err != nil {
		http.Error(w, "a cart is a JSON list of {id, count}: "+err.Error(), http.StatusBadRequest)
		return
	}
	var cents int64
	inSpan(ctx, "price cart", trace.SpanKindInternal, func(_ context.Context, span trace.Span) {
		span.SetAttributes(attribute.Int("cart.lines", len(lines)))
		cents = priceCart(s.items, lines)
	})
	s.reserve(lines)
	var receipt string
	inSpan(ctx, "charge card", trace.SpanKindClient, func(context.Context, trace.Span) {
		receipt = chargeCard("4000123412341234", cents)
	})
	s.leaks.rememberSession(receipt)
	s.leaks.notifyWarehouse(ctx, receipt)
	fmt.Fprintf(w, "{\"cents\": %d, \"receipt\": %q}\n", cents, receipt)
}

// reserve takes a cart out of stock and waits for the database while it holds the one lock: whoever else checks out
// meanwhile waits as well.
func (s *shop) reserve(lines []line) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for range 200 {
		for _, l := range lines {
			s.stock[l.ID] -= l.Count
		}
	}
	time.Sleep(databaseDelay)
}

// listItems ranks the catalogue for a search and answers with the first page.
func (s *shop) listItems(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	wanted := r.URL.Query().Get("q")
	if wanted == "" {
		wanted = adjectives[rand.IntN(len(adjectives))] + " table"
	}
	var found []item
	inSpan(ctx, "rank items", trace.SpanKindInternal, func(context.Context, trace.Span) {
		found = rankItems(s.items, wanted)
	})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(found[:min(pageSize, len(found))])
}
