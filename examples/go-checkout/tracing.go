package main

import (
	"context"
	"runtime/pprof"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const scope = "example.com/correlate/go-checkout"

// startTracing installs the tracer provider and returns what flushes it. With -otlp off spans are made, so that
// samples are labelled, but sent nowhere.
func startTracing(ctx context.Context, o options) (func(context.Context) error, error) {
	described, err := resource.New(ctx, resource.WithProcessPID(), resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(), resource.WithTelemetrySDK(), resource.WithAttributes(
			attribute.String("service.name", o.service),
			attribute.String("service.instance.id", o.instance),
			attribute.String("service.version", "1.0.0"),
		))
	if err != nil {
		return nil, err
	}
	settings := []sdktrace.TracerProviderOption{sdktrace.WithResource(described)}
	if o.otlp != "off" {
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(o.otlp+"/v1/traces"))
		if err != nil {
			return nil, err
		}
		settings = append(settings, sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(2*time.Second)))
	}
	provider := sdktrace.NewTracerProvider(settings...)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return provider.Shutdown, nil
}

// inSpan runs work inside a span and labels the goroutine with the ids of that span meanwhile. Every CPU sample taken
// of the goroutine, and of goroutines started by it, carries the labels; pprof.Do puts the labels of the parent span
// back at the end. The attribute tells Grafana that the span may have a profile.
func inSpan(ctx context.Context, name string, kind trace.SpanKind, work func(context.Context, trace.Span)) {
	ctx, span := otel.Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind))
	defer span.End()
	ids := span.SpanContext()
	span.SetAttributes(attribute.String("pyroscope.profile.id", ids.SpanID().String()))
	labels := pprof.Labels("trace_id", ids.TraceID().String(), "span_id", ids.SpanID().String())
	pprof.Do(ctx, labels, func(ctx context.Context) { work(ctx, span) })
}
