"""What the demo expects, said as sentences: a step that does not do what it says ends the demo with its reason."""

from __future__ import annotations

from typing import Any

import httpx


class NotAsPromised(Exception):
    """A step did not do what it says; the text says what was expected and what happened."""


def expect(true: object, otherwise: str) -> None:
    if not true:
        raise NotAsPromised(otherwise)


def answer(response: httpx.Response, *statuses: int) -> httpx.Response:
    """The response, when its status is one of `statuses`."""
    if response.status_code not in statuses:
        asked = f"{response.request.method} {response.request.url.copy_with(query=None)}"
        raise NotAsPromised(f"{asked} answered {response.status_code}: {response.text[:300]}")
    return response


def content(response: httpx.Response, *statuses: int) -> Any:
    """The JSON of a response with one of `statuses`."""
    return answer(response, *statuses).json()
