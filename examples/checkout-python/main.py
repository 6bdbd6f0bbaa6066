"""Run the checkout service under simulated customers, sending real telemetry. See README.md."""

import argparse
from collections.abc import Callable
from random import Random

from shop import catalogue, fraud, telemetry
from shop.load import Workers, arrivals, drive
from shop.operations import Shop

# Operations a second at --load 1, about 0.55 of a core in all on the machine this was written on.
RATES_PER_S = {"checkout": 4.2, "items": 4.0, "rules": 3.2}


def main() -> None:
    """Parse the options and serve customers until the time is over."""
    options = _options()
    provider = telemetry.Telemetry(
        otlp_url=options.otlp,
        pyroscope_url=options.pyroscope,
        instance=options.instance,
        host=options.host,
        environment=options.environment,
        upload_s=options.upload,
    ).start()
    tracer = provider.get_tracer("shop")

    items = catalogue.build_catalogue(Random(options.seed), 24_000)
    orders = fraud.recent_orders(Random(options.seed), 10_000)

    def operations(number: int) -> dict[str, Callable[[], None]]:
        shop = Shop(tracer, items, orders, Random(options.seed * 1000 + number))
        return {"checkout": shop.checkout, "items": shop.items, "rules": shop.rules}

    rates = {name: rate * options.load for name, rate in RATES_PER_S.items()}
    workers = Workers(options.threads, operations)
    drive(workers, arrivals(rates, options.duration, Random(options.seed)))
    workers.close()
    telemetry.stop(provider)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--duration", type=float, default=60.0, help="seconds during which customers come")
    parser.add_argument("--load", type=float, default=1.0, help="factor on the rates of all operations")
    parser.add_argument("--otlp", default="http://127.0.0.1:4318", help="base URL of an OTLP/HTTP receiver")
    parser.add_argument("--pyroscope", default="http://127.0.0.1:8080", help="base URL of a Pyroscope receiver")
    parser.add_argument("--seed", type=int, default=7, help="decides what customers do and when")
    parser.add_argument("--threads", type=int, default=4, help="worker threads")
    parser.add_argument("--upload", type=int, default=5, help="seconds between uploads of spans and of profiles")
    parser.add_argument("--instance", default="checkout-6c9f-1", help="service.instance.id")
    parser.add_argument("--host", default="shop-node-1", help="host.name")
    parser.add_argument("--environment", default="production", help="deployment.environment.name")
    return parser.parse_args()


if __name__ == "__main__":
    main()
