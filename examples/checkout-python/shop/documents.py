"""Carts and receipts as JSON."""

import json
from decimal import Decimal
from random import Random

from shop.pricing import TAX_RATES, Line, Quote, volume_discount


def invent_cart(random: Random, lines: int) -> str:
    """Write the JSON of a cart as a browser would send it."""
    return json.dumps(
        [
            {
                "article": random.randrange(1000, 9999),
                "category": random.choice(sorted(TAX_RATES)),
                "price": f"{random.uniform(1, 200):.2f}",
                "quantity": random.randrange(1, 60),
            }
            for _ in range(lines)
        ]
    )


def decode_cart(document: str) -> list[Line]:
    """Read a cart."""
    return [decode_line(entry) for entry in json.loads(document)]


def decode_line(entry: dict[str, str | int]) -> Line:
    """Read one line of a cart."""
    return Line(
        article=int(entry["article"]),
        category=str(entry["category"]),
        price=Decimal(str(entry["price"])),
        quantity=int(entry["quantity"]),
    )


def encode_receipt(lines: list[Line], quote: Quote, receipt: str) -> str:
    """Write the receipt, indented because customers read it."""
    document = {
        "receipt": receipt,
        "net": str(quote.net),
        "tax": str(quote.tax),
        "lines": [encode_line(line) for line in lines],
    }
    return json.dumps(document, indent=2, sort_keys=True)


def encode_line(line: Line) -> dict[str, str | int | list[str]]:
    """Write one line of a receipt, with the price of every unit in it."""
    return {
        "article": line.article,
        "category": line.category,
        "price": str(line.price),
        "quantity": line.quantity,
        "unit_prices": [str(volume_discount(line.price, unit)) for unit in range(line.quantity)],
    }
