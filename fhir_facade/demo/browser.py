"""A person's browser without script: reads the forms of a page, fills them in, follows where it is sent.

https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#constructing-entry-list
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from fhir_facade.demo.checks import NotAsPromised, answer

REDIRECTS = (302, 303)
MOST_REDIRECTS = 10


@dataclass(slots=True)
class Form:
    """Where a form goes, and its fields as the page filled them in."""

    action: str
    fields: dict[str, list[str]] = field(default_factory=dict)


class _Forms(HTMLParser):
    """Hidden, text and ticked fields; buttons and radio buttons are for the person to choose."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given.get("action", "")))
        elif tag == "input" and self.found and "name" in given and _is_sent(given):
            self.found[-1].fields.setdefault(given["name"], []).append(given.get("value", ""))


def _is_sent(given: dict[str, str]) -> bool:
    kind = given.get("type", "text")
    return kind != "radio" and (kind != "checkbox" or "checked" in given)


class Browser:
    """Keeps cookies, never runs script."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def open(self, url: str, *, stop_at: str = "") -> httpx.Response:
        """The page at the end of all redirects, or the redirect to an address that begins with `stop_at`."""
        return await self._follow(await self._client.get(url), stop_at)

    async def submit(self, page: httpx.Response, to: str, *, stop_at: str = "", **filled: str) -> httpx.Response:
        """Fill in the form of `page` whose action ends with `to` and send it; then as `open`."""
        form = next((each for each in _Forms(page.text).found if each.action.endswith(to)), None)
        if form is None:
            raise NotAsPromised(f"{page.url.copy_with(query=None)} was expected to show the form {to}")
        fields = {**form.fields, **{name: [value] for name, value in filled.items()}}
        return await self._follow(await self._client.post(urljoin(str(page.url), form.action), data=fields), stop_at)

    async def _follow(self, response: httpx.Response, stop_at: str) -> httpx.Response:
        for _ in range(MOST_REDIRECTS):
            if response.status_code not in REDIRECTS:
                return answer(response, 200)
            target = urljoin(str(response.url), response.headers["location"])
            if stop_at and target.startswith(stop_at):
                return response
            response = await self._client.get(target)
        raise NotAsPromised(f"{response.url.copy_with(query=None)} redirects in circles")
