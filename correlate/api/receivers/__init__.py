"""Push doors: OTLP over gRPC and HTTP, Pyroscope push. Limits, encodings and status codes live here."""
