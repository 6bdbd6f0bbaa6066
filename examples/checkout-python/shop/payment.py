"""Charging a card: some signing, and a wait for the bank."""

import hashlib
import time

BANK_ANSWERS_IN_S = 0.04
SIGNING_ROUNDS = 25_000


class CardDeclined(Exception):
    """The bank said no."""


def charge_card(card: str, cents: int, *, declined: bool) -> str:
    """Sign the charge, ask the bank and return its receipt number.

    Raises:
        CardDeclined: the bank said no.
    """
    signature = sign_charge(card, cents)
    ask_the_bank()
    if declined:
        raise CardDeclined(f"card ending in {card[-4:]} was declined")
    return receipt_number(signature)


def sign_charge(card: str, cents: int) -> bytes:
    """Derive a signature the slow way, round by round."""
    digest = f"{card}:{cents}".encode()
    for round_number in range(SIGNING_ROUNDS):
        digest = signing_round(digest, round_number)
    return digest


def signing_round(digest: bytes, round_number: int) -> bytes:
    """One round of signing."""
    return hashlib.sha256(digest + round_number.to_bytes(4, "big")).digest()


def ask_the_bank() -> None:
    """Wait, off the processor, until the bank has answered."""
    time.sleep(BANK_ANSWERS_IN_S)


def receipt_number(signature: bytes) -> str:
    """The first digits of the signature."""
    return signature.hex()[:12]
