"""Record what a real Tempo answers: ``python -m tests.golden.tempo.record TEMPO_URL OTLP_URL > exchanges.json``.

Needs a fresh, single-tenant Tempo that shows spans to searches within seconds.
"""

import base64
import json
import sys
import time
from dataclasses import asdict
from typing import Any

import httpx

from tests.fakes.tempo import NS, FakeSpan, traces_data

SERVICE = "golden-shop"


def made_spans(now_ns: int) -> list[FakeSpan]:
    """Two services, ids with leading zeros, a missing root, attributes on some spans only, an error."""
    spans = []
    for number in range(12):
        trace_id = f"{number + 0x0A:032x}" if number % 3 == 0 else f"{0xABCDEF0123456789ABCDEF0000000000 + number:032x}"
        start_ns = now_ns - (40 - 3 * number) * NS
        root = FakeSpan(
            trace_id, f"{number + 1:016x}", SERVICE, "POST /order", start_ns, start_ns + 900_000_000, kind=2
        )
        child = FakeSpan(
            trace_id,
            f"{number + 0x101:016x}",
            SERVICE,
            "charge",
            start_ns + 1_000_000,
            start_ns + 300_000_000,
            root.span_id,
            kind=1,
            status=2 if number % 4 == 0 else 0,
            attributes={"http.route": "/order"} if number % 2 else {},
        )
        query = FakeSpan(
            trace_id,
            f"{number + 0x201:016x}",
            f"{SERVICE}-db",
            "SELECT",
            start_ns + 2_000_000,
            start_ns + 200_000_000,
            child.span_id,
            kind=3,
        )
        spans += [child, query] if number == 5 else [root, child, query]
    return spans


def requests(start_s: int, end_s: int, spans: list[FakeSpan]) -> list[tuple[str, str, dict[str, Any], dict[str, str]]]:
    """Name, path, parameters and headers of what is asked."""
    window = {"start": start_s, "end": end_s}
    mine = f'{{ resource.service.name = "{SERVICE}" }}'
    protobuf, as_json = {"Accept": "application/protobuf"}, {"Accept": "application/json"}
    trace, missing = spans[0].trace_id, "ab" * 16
    return [
        ("trace v2 protobuf", f"/api/v2/traces/{trace}", {}, protobuf),
        ("trace v2 json", f"/api/v2/traces/{trace}", {}, as_json),
        ("trace v1 protobuf", f"/api/traces/{trace}", {}, protobuf),
        ("trace v1 json", f"/api/traces/{trace}", {}, as_json),
        ("trace v2 short id", f"/api/v2/traces/{trace.lstrip('0')}", {}, protobuf),
        ("trace v1 missing", f"/api/traces/{missing}", {}, protobuf),
        ("trace v2 missing", f"/api/v2/traces/{missing}", {}, protobuf),
        ("trace v2 missing json", f"/api/v2/traces/{missing}", {}, as_json),
        ("trace bad id", "/api/v2/traces/zz", {}, protobuf),
        ("search all", "/api/search", {"q": "{}", **window, "limit": 1000, "spss": 1}, {}),
        ("search service", "/api/search", {"q": mine, **window, "limit": 1000, "spss": 100}, {}),
        (
            "search two services",
            "/api/search",
            {
                "q": f'{{ resource.service.name = "{SERVICE}" || resource.service.name = "{SERVICE}-db" }}',
                **window,
                "limit": 1000,
                "spss": 100,
            },
            {},
        ),
        (
            "search selected",
            "/api/search",
            {
                "q": f'{{ resource.service.name = "{SERVICE}" && name = "charge" }} '
                "| select(span.http.route, name, kind, status)",
                **window,
                "limit": 1000,
                "spss": 100,
            },
            {},
        ),
        (
            "search newest",
            "/api/search",
            {"q": f"{mine} with (most_recent=true)", **window, "limit": 4, "spss": 100},
            {},
        ),
        (
            "search part of the time",
            "/api/search",
            {"q": mine, "start": start_s + 25, "end": start_s + 31, "limit": 100, "spss": 100},
            {},
        ),
        ("search spss 0", "/api/search", {"q": mine, **window, "limit": 1000, "spss": 0}, {}),
        ("search spss 101", "/api/search", {"q": mine, **window, "limit": 1000, "spss": 101}, {}),
        ("search limit 0", "/api/search", {"q": mine, **window, "limit": 0}, {}),
        ("search limit too high", "/api/search", {"q": mine, **window, "limit": 262_145}, {}),
        ("search empty", "/api/search", {"q": '{ resource.service.name = "nobody" }', **window}, {}),
        ("search bad query", "/api/search", {"q": "{ resource.service.name = ", **window}, {}),
        ("search start only", "/api/search", {"q": mine, "start": start_s}, {}),
        ("search nanoseconds", "/api/search", {"q": mine, "start": start_s * NS, "end": end_s * NS}, {}),
        ("search over-long range", "/api/search", {"q": mine, "start": end_s - 168 * 3600 - 1, "end": end_s}, {}),
        ("tag values", "/api/v2/search/tag/resource.service.name/values", window, {}),
        ("rate", "/api/metrics/query_range", {"q": f"{mine} | rate() by (name)", **window, "step": "5s"}, {}),
        (
            "rate too long",
            "/api/metrics/query_range",
            {"q": f"{mine} | rate()", "start": end_s - 86_401, "end": end_s},
            {},
        ),
        ("rate no metric", "/api/metrics/query_range", {"q": mine, **window, "step": "5s"}, {}),
        ("echo", "/api/echo", {}, {}),
        ("unknown path", "/api/nothing", {}, {}),
    ]


def main(url: str, push_url: str) -> None:
    """Push the spans, wait until searches find them all, ask, and print everything."""
    now_ns = time.time_ns()
    spans = made_spans(now_ns)
    headers = {"Content-Type": "application/x-protobuf"}
    httpx.post(f"{push_url}/v1/traces", content=traces_data(spans), headers=headers).raise_for_status()
    time.sleep(8)
    start_s = now_ns // NS - 60
    exchanges = []
    for name, path, params, asked in requests(start_s, start_s + 62, spans):
        answer = httpx.get(url + path, params=params, headers=asked)
        exchanges.append(
            {
                "name": name,
                "request": {"path": path, "params": params, "headers": asked},
                "response": {
                    "status": answer.status_code,
                    "headers": {k: v for k, v in answer.headers.items() if k == "content-type"},
                    "body_b64": base64.b64encode(answer.content).decode(),
                },
            }
        )
    json.dump({"spans": [asdict(span) for span in spans], "exchanges": exchanges}, sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
