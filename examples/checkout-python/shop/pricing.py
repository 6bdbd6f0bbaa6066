"""What a cart costs: line prices, discounts and tax."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import combinations

CENT = Decimal("0.01")
TAX_RATES = {"books": Decimal("0.07"), "food": Decimal("0.07"), "toys": Decimal("0.19"), "tools": Decimal("0.19")}


@dataclass(frozen=True)
class Line:
    """One line of a cart: an article, its category, the unit price and how many."""

    article: int
    category: str
    price: Decimal
    quantity: int


@dataclass(frozen=True)
class Quote:
    """The sums of a cart, in its currency."""

    net: Decimal
    tax: Decimal


def price_cart(lines: list[Line]) -> Quote:
    """Price every line, take the discounts off and add the tax."""
    net = sum((price_line(line) for line in lines), Decimal(0))
    net -= bundle_discount(lines)
    tax = sum((tax_for_line(line) for line in lines), Decimal(0))
    return Quote(round_money(net), round_money(tax))


def price_line(line: Line) -> Decimal:
    """Price a line, unit by unit: later units are cheaper."""
    total = Decimal(0)
    for unit in range(line.quantity):
        total += volume_discount(line.price, unit)
    return round_money(total)


def volume_discount(price: Decimal, unit: int) -> Decimal:
    """The price of one unit, one per cent off for each unit before it, at most thirty."""
    return price * (100 - min(unit, 30)) / 100


def bundle_discount(lines: list[Line]) -> Decimal:
    """The best of all pairs that are cheaper together; quadratic, which large carts feel."""
    best = Decimal(0)
    for left, right in combinations(lines, 2):
        saving = pair_saving(left, right)
        best = max(best, saving)
    return best


def pair_saving(left: Line, right: Line) -> Decimal:
    """What a pair saves: a tenth of the cheaper article when the two belong together."""
    if not belong_together(left, right):
        return Decimal(0)
    return min(left.price, right.price) / 10


def belong_together(left: Line, right: Line) -> bool:
    """Articles of one category whose digits are congruent belong together."""
    return left.category == right.category and digit_sum(left.article) % 7 == digit_sum(right.article) % 7


def digit_sum(article: int) -> int:
    """Add up the digits of an article number."""
    return sum(int(digit) for digit in str(article))


def tax_for_line(line: Line) -> Decimal:
    """The tax of a line at the rate of its category."""
    return round_money(price_line(line) * TAX_RATES[line.category])


def round_money(amount: Decimal) -> Decimal:
    """Round to cents, half up."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)
