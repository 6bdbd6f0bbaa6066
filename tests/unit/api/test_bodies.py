"""Reading bodies: limits, encodings, bombs, and the budget of all bodies together."""

import asyncio
import gzip
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from correlate.api.bodies import BodyBudget, BodyLimits, held_body, read_body
from correlate.api.decompression import expand
from correlate.errors import BadInput, Malformed, Overloaded, TooLarge, UnknownFormat

MIB = 1 << 20


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate raw": raw_deflate,
    "zstd": zstandard.compress,
}
CODINGS = sorted(COMPRESS)


def request_of(*chunks: bytes, coding: str = "", length: int | None = None, hang: bool = False) -> Request:
    """A request whose body arrives in chunks, then ends, or goes silent."""
    headers = [(b"content-encoding", coding.encode())] if coding else []
    headers += [(b"content-length", str(length).encode())] if length is not None else []
    waiting = list(chunks)

    async def receive() -> dict[str, Any]:
        if waiting:
            body = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": hang or bool(waiting)}
        if hang:
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.mark.parametrize("coding", CODINGS)
@given(body=st.binary(max_size=3000), cuts=st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_a_body_survives_every_coding_in_any_chunks(coding: str, body: bytes, cuts: int) -> None:
    """Whatever the coding and however the network cuts it, the body comes out as it went in."""
    packed = COMPRESS[coding](body)
    size = len(packed) // cuts + 1
    chunks = [packed[i : i + size] for i in range(0, len(packed), size)]
    assert run(read_body(request_of(*chunks, coding=coding.removesuffix(" raw")), BodyLimits())) == body


@pytest.mark.parametrize("coding", ["", "identity", "gzip, identity", "IDENTITY , gzip", "gzip, deflate", "gzip,zstd"])
def test_codings_are_undone_in_reverse_order(coding: str) -> None:
    """Several codings are undone from the last to the first, and identity does nothing."""
    packed = b"a body"
    for name in coding.lower().split(","):
        packed = COMPRESS.get(name.strip(), bytes)(packed)
    assert run(read_body(request_of(packed, coding=coding), BodyLimits())) == b"a body"


@pytest.mark.parametrize("coding", ["br", "gzip, snappy", "lz4"])
def test_an_unknown_coding_is_refused_with_what_is_accepted(coding: str) -> None:
    """The refusal names the codings that would have worked."""
    with pytest.raises(UnknownFormat, match="gzip, deflate, zstd"):
        run(read_body(request_of(b"x", coding=coding), BodyLimits()))


def test_towers_of_codings_are_refused() -> None:
    """A body compressed many times over is an attack, not a body."""
    with pytest.raises(UnknownFormat, match="4 content codings"):
        run(read_body(request_of(b"x", coding="gzip,gzip,gzip,gzip"), BodyLimits()))


@pytest.mark.parametrize("coding", CODINGS)
def test_truncated_streams_are_malformed(coding: str) -> None:
    """A compressed stream without its end is refused, wherever it was cut."""
    packed = COMPRESS[coding](bytes(range(256)) * 20)
    for end in (1, 5, len(packed) // 2, len(packed) - 1):
        with pytest.raises(Malformed, match=coding.removesuffix(" raw")):
            run(read_body(request_of(packed[:end], coding=coding.removesuffix(" raw")), BodyLimits()))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
@given(body=st.binary(min_size=1, max_size=200))
@settings(max_examples=25, deadline=None)
def test_any_bytes_give_a_body_or_a_clear_error(coding: str, body: bytes) -> None:
    """Bytes that are no compressed stream are refused as bad input, never with another exception."""
    limits = BodyLimits(max_body_bytes=MIB)
    with suppress(BadInput):
        run(read_body(request_of(body, coding=coding), limits))


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_several_streams_are_one_body(coding: str) -> None:
    """Concatenated gzip members and zstd frames read as one body, but not without end."""
    pack = COMPRESS[coding]
    assert run(read_body(request_of(pack(b"one ") + pack(b"two"), coding=coding), BodyLimits())) == b"one two"
    with pytest.raises(Malformed, match="4096 compressed streams"):
        run(read_body(request_of(pack(b"") * 5000, coding=coding), BodyLimits()))


def test_an_empty_body_stays_empty_in_any_coding() -> None:
    """Some senders name a coding and send nothing."""
    assert run(read_body(request_of(b"", coding="gzip", length=0), BodyLimits())) == b""


def bomb(coding: str, size_mib: int) -> bytes:
    """Zeros, compressed without ever being in memory at once."""
    gzip_like = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    packer = zstandard.ZstdCompressor().compressobj() if coding == "zstd" else gzip_like
    return b"".join([*(packer.compress(bytes(MIB)) for _ in range(size_mib)), packer.flush()])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_a_bomb_stops_at_the_limit(coding: str) -> None:
    """A body that expands to 96 MiB is refused at 8 MiB, and no more than that and a step is ever in memory."""
    packed, limits = bomb(coding, 96), BodyLimits(max_body_bytes=8 * MIB)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="8388608 bytes"):
            run(read_body(request_of(packed, coding=coding), limits))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 48 * MIB


def test_zstd_with_a_huge_window_is_refused() -> None:
    """A frame that asks for 128 MiB of window gets none of it."""
    params = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=0)
    packer = zstandard.ZstdCompressor(compression_params=params).compressobj()
    packed = packer.compress(b"abc") + packer.flush()
    with pytest.raises(Malformed, match="zstd"):
        run(read_body(request_of(packed, coding="zstd"), BodyLimits()))


def test_a_claimed_length_over_the_limit_is_refused_before_reading() -> None:
    """Content-Length alone is enough to refuse; not one byte is awaited."""
    for length in (65 * MIB, 10**30):
        with pytest.raises(TooLarge):
            run(read_body(request_of(length=length, hang=True), BodyLimits()))


def test_a_body_without_length_is_cut_at_the_limit() -> None:
    """Chunked bodies are refused at the first chunk over the limit."""
    request = request_of(*[bytes(1000)] * 50, hang=True)
    with pytest.raises(TooLarge, match="10000 bytes"):
        run(read_body(request, BodyLimits(max_body_bytes=10_000)))
    assert run(read_body(request_of(*[bytes(1000)] * 10), BodyLimits(max_body_bytes=10_000))) == bytes(10_000)


def test_a_slow_sender_is_sent_away() -> None:
    """A body that does not arrive in time ends in an error that may be retried."""
    with pytest.raises(Overloaded, match=r"0\.05 s"):
        run(read_body(request_of(b"start", hang=True), BodyLimits(read_timeout_s=0.05)))


def test_a_disconnect_frees_the_room() -> None:
    """A client that goes away in the middle of its body leaves nothing reserved."""
    budget = BodyBudget(10 * MIB)

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    parts = [{"type": "http.request", "body": bytes(100), "more_body": True}, {"type": "http.disconnect"}]
    request = Request({"type": "http", "method": "POST", "headers": []}, receive)

    async def go() -> None:
        async with held_body(request, BodyLimits(), budget):
            pass

    with pytest.raises(Malformed, match="closed"):
        run(go())
    assert budget.held_bytes == 0


def test_a_held_body_holds_its_own_size_and_no_more() -> None:
    """The first guess is generous; once a body is read its room is its size, and after use it is nothing."""
    budget, body = BodyBudget(100 * MIB), bytes(3 * MIB)

    async def go() -> None:
        packed = gzip.compress(body)
        async with held_body(request_of(packed, coding="gzip", length=len(packed)), BodyLimits(), budget) as read:
            assert read == body
            assert budget.held_bytes == 3 * MIB

    run(go())
    assert budget.held_bytes == 0


def test_bodies_wait_for_room_in_line() -> None:
    """Eight bodies with room for two at a time all get through, and the budget is never exceeded."""
    budget, most = BodyBudget(2 * MIB, wait_s=5), []

    async def one() -> None:
        async with held_body(request_of(bytes(MIB), length=MIB), BodyLimits(), budget):
            most.append(budget.held_bytes)
            await asyncio.sleep(0.01)

    async def every() -> None:
        await asyncio.gather(*(one() for _ in range(8)))

    run(every())
    assert max(most) == 2 * MIB
    assert len(most) == 8
    assert budget.held_bytes == 0


def test_waiting_too_long_is_overload() -> None:
    """Who gets no room in time is told to come back, and whoever stands behind them moves up."""
    budget = BodyBudget(10 * MIB, wait_s=0.1)

    async def small() -> str:
        await asyncio.sleep(0.02)
        async with budget.reserve(1):
            return "in"

    async def go() -> None:
        async with budget.reserve(9 * MIB):
            behind = asyncio.create_task(small())
            with pytest.raises(Overloaded, match="inflight_limit_bytes"):
                async with budget.reserve(2 * MIB):
                    pass
            assert await behind == "in"

    run(go())
    assert budget.held_bytes == 0


def test_a_cancelled_wait_leaves_no_trace() -> None:
    """Cancelling a request that waits for room neither leaks room nor blocks the line."""
    budget = BodyBudget(MIB)

    async def waiter() -> None:
        async with budget.reserve(MIB):
            await asyncio.sleep(60)

    async def go() -> None:
        async with budget.reserve(MIB):
            tasks = [asyncio.create_task(waiter()) for _ in range(5)]
            await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with budget.reserve(MIB):
            assert budget.held_bytes == MIB

    run(go())
    assert budget.held_bytes == 0


def test_cancelling_in_the_moment_of_the_grant_returns_the_room() -> None:
    """Room that was granted to somebody who left in the same moment is not lost."""
    budget = BodyBudget(MIB)

    async def waiter() -> None:
        async with budget.reserve(MIB):
            pass

    async def go() -> None:
        async with budget.reserve(MIB):
            task = asyncio.create_task(waiter())
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(go())
    assert budget.held_bytes == 0


def test_growing_beyond_the_room_is_refused_at_once() -> None:
    """A body that outgrows its guess takes what is free; when nothing is, it is sent away instead of waiting."""
    budget = BodyBudget(4 * MIB, wait_s=60)
    packed = gzip.compress(bytes(3 * MIB))

    async def go() -> None:
        async with budget.reserve(2 * MIB):
            started = time.monotonic()
            with pytest.raises(Overloaded):
                async with held_body(request_of(packed, coding="gzip", length=len(packed)), BodyLimits(), budget):
                    pass
            assert time.monotonic() - started < 5
        async with held_body(request_of(packed, coding="gzip", length=len(packed)), BodyLimits(), budget) as body:
            assert len(body) == 3 * MIB

    run(go())
    assert budget.held_bytes == 0


def test_what_can_never_fit_is_too_large() -> None:
    """A body larger than the whole budget is refused for good, not told to come back."""
    packed = gzip.compress(bytes(3 * MIB))

    async def go() -> None:
        async with held_body(request_of(packed, coding="gzip"), BodyLimits(), BodyBudget(2 * MIB)):
            pass

    with pytest.raises(TooLarge, match="inflight_limit_bytes"):
        run(go())


def test_one_budget_serves_several_event_loops() -> None:
    """Doors in different threads share a budget: all get their turn and nothing stays reserved."""
    budget, served = BodyBudget(MIB, wait_s=20), []

    async def many() -> None:
        async def one() -> None:
            async with budget.reserve(600_000):
                await asyncio.sleep(0.001)
                served.append(budget.held_bytes)

        await asyncio.gather(*(one() for _ in range(20)))

    threads = [threading.Thread(target=run, args=(many(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(served) == 80
    assert max(served) == 600_000
    assert budget.held_bytes == 0


def test_expanding_does_not_copy_more_than_once() -> None:
    """Decompressing 16 MiB needs the result and little else."""
    packed = gzip.compress(bytes(16 * MIB), 1)
    sizes: list[int] = []
    tracemalloc.start()
    try:
        expand("gzip", packed, sizes.append)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert max(sizes) == 16 * MIB
    assert peak_bytes < 28 * MIB
