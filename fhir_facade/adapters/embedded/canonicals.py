"""Hops over canonical URLs in SQL: what a reference means by its `url`, and by its version where it names one.

https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.adapters.embedded.source import Sql
from fhir_facade.values import Has

Pks = tuple[str, Sequence[Any]]
"""An expression on `pk` of the surrounding select, and its values."""

_NAMES: Final = """
SELECT u.uri || '|' || CASE w.said WHEN 0 THEN ''
  ELSE (SELECT v.code FROM idx_token v WHERE v.pk = u.pk AND v.param = ?) END
FROM (SELECT uri, pk FROM idx_uri WHERE param = ? AND {own}) u CROSS JOIN (SELECT 0 AS said UNION ALL SELECT 1) w
"""
_NAMED: Final = """
SELECT u.pk FROM idx_reference f CROSS JOIN idx_uri u ON u.uri = f.target AND u.param = ?
WHERE f.param = ? AND f.pk IN (SELECT pk FROM idx_reference WHERE param = ? AND {inner})
AND EXISTS (SELECT 1 FROM idx_reference w WHERE w.pk = f.pk AND w.param = f.param AND w.target IN (u.uri || '|',
(SELECT u.uri || '|' || v.code FROM idx_token v WHERE v.pk = u.pk AND v.param = ?)))
"""


def canonicals_of(catalogue: Catalogue, type: str, own: Pks) -> Sql:
    """What refers to the resources of a type that satisfy the expression: without a version, or with theirs."""
    sql, values = own
    return _NAMES.format(own=sql), (catalogue.param(type, "version"), catalogue.param(type, "url"), *values)


def named_by(catalogue: Catalogue, type: str, has: Has, inner: Pks) -> Sql:
    """The resources of a type to which one refers that satisfies the expression."""
    url, version = catalogue.param(type, "url"), catalogue.param(type, "version")
    by = catalogue.param(has.type, has.name)
    sql, values = inner
    return _NAMED.format(inner=sql), (url, by, by, *values, version)
