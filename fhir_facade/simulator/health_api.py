"""The Google Health API v4: identity, profile, settings, paired devices, list, reconcile, dailyRollUp.

https://developers.google.com/health/reference/rest; what the real service refuses is refused here with the same bodies.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from fhir_facade.simulator.accounts import Account
from fhir_facade.simulator.data_types import (
    DATA_TYPES,
    PROFILE,
    SCOPE_PREFIX,
    SETTINGS,
    DataType,
    Method,
)
from fhir_facade.simulator.filters import parse_filter
from fhir_facade.simulator.points import Point, Wearer, data_source, point_id, points_of
from fhir_facade.simulator.refusals import Refusal, not_linked, scope_insufficient
from fhir_facade.simulator.rollups import daily_rollup
from fhir_facade.simulator.times import civil_date, offset, timestamp

DAYS_KEPT = 90
FIRST_PAGE = "first-page"
_FAMILY = re.compile(r"^users/(me|\d+)/dataSourceFamilies/(all-sources|google-wearables|google-sources|self-sources)$")
_READ_PARAMETERS = {"filter", "pageSize", "pageToken", "dataSourceFamily"}
_SYSTEM_PARAMETERS = {"alt", "fields", "key", "prettyPrint", "quotaUser", "$.xgafv", "access_token", "oauth_token"}

Query = Mapping[str, str]


def _no_unknown(query: Query, known: set[str]) -> None:
    if unknown := sorted(query.keys() - known - _SYSTEM_PARAMETERS):
        raise Refusal(400, f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot bind query parameter.')


def _needs(scopes: Sequence[str], scope: str) -> None:
    if scope not in scopes:
        raise scope_insufficient()


def _linked(account: Account) -> None:
    if not account.linked:
        raise not_linked()


def identity(wearer: Wearer, scopes: Sequence[str], query: Query) -> dict[str, Any]:
    _no_unknown(query, set())
    if not any(scope.startswith(SCOPE_PREFIX) for scope in scopes):
        raise scope_insufficient()
    _linked(wearer.account)
    return {
        "name": "users/me/identity",
        "healthUserId": wearer.account.health_user_id,
        "legacyUserId": wearer.account.legacy_user_id,
    }


def profile(wearer: Wearer, scopes: Sequence[str], query: Query) -> dict[str, Any]:
    _no_unknown(query, set())
    _needs(scopes, PROFILE)
    _linked(wearer.account)
    return {
        "name": f"users/{wearer.account.health_user_id}/profile",
        "age": wearer.account.age,
        "membershipStartDate": {"year": 2021, "month": 3, "day": 14},
    }


def settings(wearer: Wearer, scopes: Sequence[str], query: Query) -> dict[str, Any]:
    """The zone and offset of today only: the vendor does not tell where somebody was last month."""
    _no_unknown(query, set())
    _needs(scopes, SETTINGS)
    _linked(wearer.account)
    account = wearer.account
    return {
        "name": f"users/{account.health_user_id}/settings",
        "timeZone": account.zone,
        "utcOffset": offset(wearer.synced_at, account.time_zone),
        "languageLocale": account.locale,
        "distanceUnit": "DISTANCE_UNIT_KILOMETERS",
        "temperatureUnit": "TEMPERATURE_UNIT_CELSIUS",
    }


def paired_devices(wearer: Wearer, scopes: Sequence[str], query: Query) -> dict[str, Any]:
    _no_unknown(query, {"pageSize", "pageToken"})
    _needs(scopes, SETTINGS)
    _linked(wearer.account)
    account = wearer.account
    name = f"users/{account.health_user_id}/pairedDevices/"
    tracker = {
        "name": f"{name}816713{account.health_user_id[-3:]}",
        "deviceType": "TRACKER",
        "deviceVersion": account.device,
        "batteryLevel": 74,
        "batteryStatus": "High",
        "lastSyncTime": timestamp(wearer.synced_at),
        "features": ["ACTIVE_MINUTES", "STEPS", "SLEEP", "HEART_RATE"],
    }
    scale = {"name": f"{name}816799{account.health_user_id[-3:]}", "deviceType": "SCALE", "deviceVersion": "Aria Air"}
    return {"pairedDevices": [tracker, scale]}


def data_type(name: str, method: Method, scopes: Sequence[str]) -> DataType:
    """The data type if it has the method and its scope was granted."""
    found = DATA_TYPES.get(name)
    if found is None:
        raise Refusal(400, f"Data type {name} is not supported.")
    _needs(scopes, found.scope)
    if method not in found.methods:
        label = {"list": "List", "reconcile": "Reconcile", "dailyRollUp": "DailyRollUp"}[method]
        raise Refusal(400, f"{label} is not supported for data type {name}.", reason="INVALID_DATA_TYPE")
    return found


def _family(text: str | None, kind: DataType, *, listing: bool) -> Callable[[Point], bool]:
    if text is None:
        return lambda _point: True
    match = _FAMILY.match(text)
    if match is None:
        raise Refusal(400, f"Invalid data source family name: {text}. Format: users/me/dataSourceFamilies/…")
    if listing and kind.name == "sleep":
        raise Refusal(400, "Filtering by data source family is not supported for data type sleep.")
    keep = {"all-sources": True, "google-sources": True, "self-sources": False}.get(match[2])
    return lambda point: not point.by_hand if keep is None else keep


def _size(text: str | None, kind: DataType) -> int:
    if text is None or text == "0":
        return kind.page_size
    if not text.isdigit():
        raise Refusal(400, f"Invalid value at 'page_size' (TYPE_INT32), {text}")
    return min(int(text), kind.page_limit)


def _seal(query: Query, kind: DataType, method: str) -> str:
    asked = json.dumps([kind.name, method, query.get("filter"), query.get("dataSourceFamily")])
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _offset(token: str | None, seal: str) -> int:
    """Where a page begins; a token belongs to the request it was given for."""
    if not token or token == FIRST_PAGE:
        return 0
    try:
        start, sealed = json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError as error:
        raise Refusal(400, "Invalid page token.", reason="INVALID_PAGE_TOKEN") from error
    if sealed != seal or not isinstance(start, int):
        raise Refusal(400, "Invalid page token.", reason="INVALID_PAGE_TOKEN")
    return start


def page_token(start: int, seal: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([start, seal]).encode()).decode()


def _data_point(wearer: Wearer, kind: DataType, point: Point, method: str) -> dict[str, Any]:
    account = wearer.account
    named = {}
    if kind.identifiable:
        name = f"users/{account.health_user_id}/dataTypes/{kind.name}/dataPoints/{point_id(wearer, kind, point)}"
        named = {"name" if method == "list" else "dataPointName": name}
    source = {"dataSource": data_source(wearer, point)} if method == "list" else {}
    return {**named, **source, kind.member: point.value}


def read_points(wearer: Wearer, kind: DataType, method: Method, query: Query) -> dict[str, Any]:
    """`list` and `reconcile`: one page, newest first."""
    _no_unknown(query, _READ_PARAMETERS)
    _linked(wearer.account)
    keep = parse_filter(query.get("filter", ""), kind, wearer.account.time_zone)
    family = _family(query.get("dataSourceFamily"), kind, listing=method == "list")
    seal = _seal(query, kind, method)
    start, size = _offset(query.get("pageToken"), seal), _size(query.get("pageSize"), kind)
    days = (wearer.today - timedelta(days=back) for back in range(DAYS_KEPT))
    points = [each for on in days for each in points_of(wearer, kind, on) if keep(each) and family(each)]
    points.sort(key=lambda point: point.start, reverse=True)
    body: dict[str, Any] = {}
    if page := points[start : start + size]:
        body["dataPoints"] = [_data_point(wearer, kind, point, method) for point in page]
    if start + size < len(points):
        body["nextPageToken"] = page_token(start + size, seal)
    return body


def rollup_points(wearer: Wearer, kind: DataType, query: Query, body: Any) -> dict[str, Any]:
    """`dailyRollUp`: all rows in one page, for the limits allow no more rows than a page holds."""
    _no_unknown(query, set())
    _linked(wearer.account)
    if isinstance(body, Mapping):
        _family(body.get("dataSourceFamily"), kind, listing=False)
    rows = daily_rollup(wearer, kind, body)
    _offset(body.get("pageToken"), "")
    oldest = civil_date(wearer.today - timedelta(days=DAYS_KEPT - 1))
    kept = [row for row in rows if _key(row["civilStartTime"]["date"]) >= _key(oldest)]
    return {"rollupDataPoints": kept} if kept else {}


def _key(on: Mapping[str, int]) -> tuple[int, int, int]:
    return on["year"], on["month"], on["day"]
