// Command go-checkout is a small shop that shows how a Go service is made ready for the join of spans and profiles:
// every span labels the goroutine that works for it, and net/http/pprof serves what was sampled. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// One contended lock in this many is recorded, and every wait of at least this long. A busy service would take fewer.
const (
	mutexFraction = 1
	blockRate     = 10 * time.Microsecond
)

const shutdownGrace = 5 * time.Second

type options struct {
	address  string
	pprof    string
	otlp     string
	service  string
	instance string
	load     float64
	duration time.Duration
	leaks    leakSwitches
}

func main() {
	if err := run(parse()); err != nil {
		log.Fatal(err)
	}
}

// parse reads the flags; the leaks can be switched on by the environment as well.
func parse() options {
	var o options
	flag.StringVar(&o.address, "address", "127.0.0.1:8000", "where the shop listens")
	flag.StringVar(&o.pprof, "pprof", "127.0.0.1:6060", "where /debug/pprof listens")
	flag.StringVar(&o.otlp, "otlp", "http://127.0.0.1:4318", "base URL of an OTLP/HTTP receiver, or off")
	flag.StringVar(&o.service, "service", "go-checkout", "service.name")
	flag.StringVar(&o.instance, "instance", "go-checkout-1", "service.instance.id")
	flag.Float64Var(&o.load, "load", 0, "requests a second that the built-in customers make; 0: none")
	flag.DurationVar(&o.duration, "duration", 0, "stop after this time; 0: when interrupted")
	flag.BoolVar(&o.leaks.goroutines, "leak-goroutines", fromEnv("SHOP_LEAK_GOROUTINES"), "leave a goroutine behind per checkout")
	flag.BoolVar(&o.leaks.heap, "leak-heap", fromEnv("SHOP_LEAK_HEAP"), "keep the session of every checkout for ever")
	flag.Parse()
	return o
}

func fromEnv(name string) bool {
	on, err := strconv.ParseBool(os.Getenv(name))
	return err == nil && on
}

// run serves until the time is over or the process is told to stop, then lets requests and spans finish.
func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	runtime.SetMutexProfileFraction(mutexFraction)
	runtime.SetBlockProfileRate(int(blockRate))

	flush, err := startTracing(ctx, o)
	if err != nil {
		return err
	}
	shop := newShop(o.leaks)
	servers := []*http.Server{serve(shop.routes()), serve(profiling())}
	failed := make(chan error, len(servers))
	for i, address := range []string{o.address, o.pprof} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go func() { failed <- servers[i].Serve(listener) }()
	}
	log.Printf("shop on http://%s, profiles on http://%s/debug/pprof/", o.address, o.pprof)

	customersGone := sendCustomers(ctx, "http://"+o.address, o.load)
	select {
	case <-ctx.Done():
	case err = <-failed:
		stop()
	}
	<-customersGone
	return errors.Join(err, shutDown(servers, flush))
}

func serve(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
}

// profiling is net/http/pprof on a mux of its own, so that it is never on the port customers reach. Index serves the
// profiles that have a name: heap, allocs, goroutine, mutex, block, and goroutineleak where the toolchain has it.
func profiling() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func shutDown(servers []*http.Server, flush func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	var problems []error
	for _, server := range servers {
		problems = append(problems, server.Shutdown(ctx))
	}
	return errors.Join(append(problems, flush(ctx))...)
}
