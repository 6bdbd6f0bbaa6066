"""Rules that tell odd orders from honest ones."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(\w+)\.(\w+)\d{2,}@(mail|post)\.example",
        r"^(?:[a-z]+\.)+\d+@",
        r"([a-z])\1{2,}",
        r"@[a-z]+(?:-[a-z]+)*\.example$",
    )
)
CITIES = ((52.52, 13.40), (48.85, 2.35), (41.90, 12.50), (59.33, 18.07), (38.72, -9.14))


@dataclass(frozen=True)
class Order:
    """What the rules see of an order: buyer, amount and where it came from (degrees)."""

    email: str
    amount: float
    latitude: float
    longitude: float


def recent_orders(random: Random, count: int) -> list[Order]:
    """Invent the orders of the last minutes."""
    return [
        Order(
            f"{random.choice(('ada', 'grace', 'linus', 'barbara'))}.{random.randrange(10_000)}@mail.example",
            random.expovariate(1 / 40),
            random.uniform(36, 60),
            random.uniform(-10, 30),
        )
        for _ in range(count)
    ]


def evaluate_rules(orders: Sequence[Order]) -> float:
    """Score a batch of orders; the riskiest one counts."""
    spread = amount_spread(orders)
    return max(risk_of_order(order, spread) for order in orders)


def risk_of_order(order: Order, spread: float) -> float:
    """Add up what the rules say about one order."""
    return match_patterns(order.email) + distance_risk(order) + order.amount / max(spread, 1.0)


def match_patterns(email: str) -> float:
    """The share of suspicious patterns that an address matches."""
    return sum(1.0 for pattern in PATTERNS if match_pattern(pattern, email)) / len(PATTERNS)


def match_pattern(pattern: re.Pattern[str], email: str) -> bool:
    """Look for one pattern anywhere in an address."""
    return pattern.search(email) is not None


def distance_risk(order: Order) -> float:
    """Orders from far away of every warehouse are riskier."""
    nearest_km = min(great_circle_km(order.latitude, order.longitude, *city) for city in CITIES)
    return nearest_km / 1000


def great_circle_km(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """The haversine distance on a sphere of 6371 km."""
    half_lat = haversine(math.radians(other_lat - lat))
    half_lon = haversine(math.radians(other_lon - lon))
    chord = half_lat + math.cos(math.radians(lat)) * math.cos(math.radians(other_lat)) * half_lon
    return 2 * 6371 * math.asin(math.sqrt(min(chord, 1.0)))


def haversine(angle: float) -> float:
    """Half a versine."""
    return math.sin(angle / 2) ** 2


def amount_spread(orders: Sequence[Order]) -> float:
    """The standard deviation of the amounts."""
    mean = sum(order.amount for order in orders) / len(orders)
    return math.sqrt(sum((order.amount - mean) ** 2 for order in orders) / len(orders))
