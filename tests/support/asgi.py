"""A client of an application without a socket."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI


@dataclass(frozen=True)
class AppClient:
    """Calls an application; what it raises becomes the answer that a client would see."""

    app: FastAPI

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET a path."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """POST to a path."""
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request and wait for its whole answer."""
        return asyncio.run(self._request(method, path, options))

    async def _request(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://here:8080") as client:
            return await client.request(method, path, **options)
