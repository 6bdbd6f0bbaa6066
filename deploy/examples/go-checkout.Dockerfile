# The Go shop of examples/go-checkout. Build from the root of the repository.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY examples/go-checkout/go.mod examples/go-checkout/go.sum ./
RUN go mod download
COPY examples/go-checkout/*.go ./
RUN CGO_ENABLED=0 GOEXPERIMENT=goroutineleakprofile go build -trimpath -o /app/go-checkout .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /app/go-checkout /app/go-checkout
ENTRYPOINT ["/app/go-checkout"]
