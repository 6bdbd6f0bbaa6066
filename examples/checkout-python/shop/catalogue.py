"""The list of items a customer sees, and the ranking behind it."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

ADJECTIVES = ("red", "small", "wooden", "quiet", "folding", "bright", "heavy", "round", "garden", "kitchen")
NOUNS = ("lamp", "table", "kettle", "ladder", "basket", "clock", "mirror", "bottle", "blanket", "hammer")


@dataclass(frozen=True)
class Item:
    """An article as the catalogue knows it."""

    article: int
    title: str
    sold: int
    age_days: int


def build_catalogue(random: Random, count: int) -> list[Item]:
    """Invent a catalogue."""
    return [
        Item(1000 + n, f"{random.choice(ADJECTIVES)} {random.choice(NOUNS)} {n}", random.randrange(900), n % 400)
        for n in range(count)
    ]


def rank_items(items: Sequence[Item], wish: str) -> list[Item]:
    """Order items by how well they fit a wish: the expensive way, item by item."""
    wanted = trigrams(wish)
    scored = [(score_item(item, wanted), item.article, item) for item in items]
    return [item for _, _, item in sort_by_score(scored)]


def score_item(item: Item, wanted: set[str]) -> float:
    """Similarity of the title, weighed by popularity."""
    return text_similarity(trigrams(item.title), wanted) + popularity(item)


def trigrams(text: str) -> set[str]:
    """Every three letters in a row."""
    padded = f"  {text.lower()} "
    return {padded[start : start + 3] for start in range(len(padded) - 2)}


def text_similarity(have: set[str], wanted: set[str]) -> float:
    """Shared trigrams over all of them (Jaccard)."""
    return len(have & wanted) / max(len(have | wanted), 1)


def popularity(item: Item) -> float:
    """Sales, discounted by age with a half-life of a month."""
    return math.log1p(item.sold) * math.exp(-item.age_days * math.log(2) / 30)


def sort_by_score(scored: list[tuple[float, int, Item]]) -> list[tuple[float, int, Item]]:
    """Best first; equal scores by article number."""
    return sorted(scored, key=ranking_key)


def ranking_key(entry: tuple[float, int, Item]) -> tuple[float, int]:
    """Order by falling score, then by article number."""
    score, article, _ = entry
    return (-score, article)


def render_items(items: Sequence[Item]) -> bytes:
    """Write the page of items as compressed HTML."""
    return compress_page("".join(render_row(item) for item in items))


def render_row(item: Item) -> str:
    """Write one item as a table row."""
    cells = (str(item.article), escape(item.title), str(item.sold))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


def escape(text: str) -> str:
    """Replace what HTML would misread."""
    return "".join({"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(letter, letter) for letter in text)


def compress_page(page: str) -> bytes:
    """Deflate a page."""
    return zlib.compress(page.encode(), level=1)
