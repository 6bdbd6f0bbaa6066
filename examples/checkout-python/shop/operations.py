"""The three operations of the service, each under a root span of its own."""

from collections.abc import Sequence
from random import Random

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from shop import catalogue, documents, fraud, payment, pricing, sessions

LARGE_CART_SHARE = 0.1
DECLINED_SHARE = 0.02
CACHE_MISS_SHARE = 0.08
PAGE_ITEMS = 12_000
BATCH_ORDERS = 9_000


class Shop:
    """The service: a catalogue, recent orders, and what can be asked of it.

    Args:
        tracer: where the spans go.
        items: the catalogue.
        orders: what the fraud rules look at.
        random: decides what customers do; give each thread its own shop.
    """

    def __init__(
        self, tracer: Tracer, items: Sequence[catalogue.Item], orders: Sequence[fraud.Order], random: Random
    ) -> None:
        self._tracer = tracer
        self._random = random
        self._items = items
        self._orders = orders

    def checkout(self) -> None:
        """`POST /checkout`: read the cart, validate and price it, charge the card, write the receipt."""
        large = self._random.random() < LARGE_CART_SHARE
        document = documents.invent_cart(self._random, lines=500 if large else 180)
        with self._tracer.start_as_current_span("POST /checkout", kind=SpanKind.SERVER) as span:
            span.set_attributes({"http.request.method": "POST", "http.route": "/checkout", "cart.large": large})
            sessions.remember_session()
            lines = documents.decode_cart(document)
            quote = self._validate(lines)
            try:
                receipt = self._charge(quote)
            except payment.CardDeclined:
                span.set_attribute("http.response.status_code", 402)
                return
            documents.encode_receipt(lines, quote, receipt)
            span.set_attribute("http.response.status_code", 200)

    def items(self) -> None:
        """`GET /items`: a page of items, ranked afresh when the cache does not have it."""
        hit = self._random.random() >= CACHE_MISS_SHARE
        with self._tracer.start_as_current_span("GET /items", kind=SpanKind.SERVER) as span:
            span.set_attributes({"http.request.method": "GET", "http.route": "/items", "cache.hit": hit})
            items = self._items if hit else catalogue.rank_items(self._items, "small wooden table")
            catalogue.render_items(items[:PAGE_ITEMS])
            span.set_attribute("http.response.status_code", 200)

    def rules(self) -> None:
        """`rules evaluate`: score the recent orders, without any customer waiting."""
        start = self._random.randrange(len(self._orders) - BATCH_ORDERS)
        with self._tracer.start_as_current_span("rules evaluate") as span:
            orders = self._orders[start : start + BATCH_ORDERS]
            span.set_attributes({"orders": len(orders), "risk": fraud.evaluate_rules(orders)})

    def _validate(self, lines: list[pricing.Line]) -> pricing.Quote:
        with self._tracer.start_as_current_span("validate cart") as span:
            span.set_attribute("cart.lines", len(lines))
            return pricing.price_cart(lines)

    def _charge(self, quote: pricing.Quote) -> str:
        declined = self._random.random() < DECLINED_SHARE
        with self._tracer.start_as_current_span("charge card", kind=SpanKind.CLIENT) as span:
            span.add_event("charge signed")
            try:
                return payment.charge_card("4000123412341234", int(quote.net * 100), declined=declined)
            except payment.CardDeclined as declined_by_bank:
                span.set_status(Status(StatusCode.ERROR, str(declined_by_bank)))
                raise
