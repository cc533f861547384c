"""`fhir-facade settings`: every setting with its type, default and meaning; docs/settings.md is written by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from fhir_facade.settings import Settings

_HEAD = """# Settings

Every setting is an environment variable. One that begins alike and is none of these does nothing: each start and each
command names it, never its value, with the nearest name there is.

This page is written by `fhir-facade settings --markdown` from `fhir_facade/settings.py`; a test holds the two together.

| Variable | Type | Default | Meaning |
|---|---|---|---|"""
_WORDS = {"str": "text", "bool": "true or false", "int": "number", "Path": "path", "SecretStr": "secret"}


def show(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/settings.md.")] = False,
) -> None:
    """List the settings: name, default, meaning."""
    typer.echo(page() if markdown else "\n".join(_plain()))


def page() -> str:
    """docs/settings.md without its last line end."""
    rows = (
        f"| `{name}` | {_type(field)} | {_code(_default(field))} | {field.description} |" for name, field in _fields()
    )
    return "\n".join((_HEAD, *rows))


def _plain() -> Iterator[str]:
    for name, field in _fields():
        yield f"{name}={_default(field)}\n    {field.description}"


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    prefix = Settings.model_config["env_prefix"]
    for name, field in Settings.model_fields.items():
        yield prefix + name.upper(), field


def _code(text: str) -> str:
    return f"`{text}`" if text else "empty"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or isinstance(value, SecretStr):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _type(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    limits = {key: value for bound in field.metadata for key, value in _bounds(bound)}
    low, high = limits.get("ge"), limits.get("le")
    span = "" if low is None else f" from {low:,}" + ("" if high is None else f" to {high:,}")
    return _WORDS[kinds[0].__name__] + span


def _bounds(bound: Any) -> Iterator[tuple[str, int]]:
    """`ge` and `le` of one constraint."""
    for key in ("ge", "le"):
        if hasattr(bound, key):
            yield key, getattr(bound, key)
