# The Python shop of examples/checkout-python with the real clients. Build from the root of the repository.
FROM python:3.11-slim-bookworm
WORKDIR /srv/checkout/app
COPY constraints.txt /tmp/constraints.txt
RUN pip install --no-cache-dir --disable-pip-version-check -c /tmp/constraints.txt \
    opentelemetry-sdk opentelemetry-exporter-otlp-proto-http pyroscope-io pyroscope-otel
COPY examples/checkout-python/ ./
RUN useradd --system --uid 10001 shop
USER shop
ENTRYPOINT ["python", "main.py"]
