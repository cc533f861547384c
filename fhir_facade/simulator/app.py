"""The simulator as an ASGI application: the vendor's addresses, and `/simulator/…` to switch faults and read the log.

The paths are those of the real services (https://accounts.google.com, https://oauth2.googleapis.com,
https://health.googleapis.com), joined on one origin.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from fhir_facade.simulator import account_pages, health_api
from fhir_facade.simulator.accounts import accounts
from fhir_facade.simulator.data_types import Method
from fhir_facade.simulator.faults import REFUSALS, Fault, Faults, fault_from
from fhir_facade.simulator.grants import Grants, VendorClient
from fhir_facade.simulator.points import Wearer
from fhir_facade.simulator.refusals import OAuthRefusal, Refusal

DEFAULT_CLIENT = VendorClient("fhir-facade", "simulator-secret")
TRACKER_SYNC_EVERY = timedelta(hours=6)

_RESOURCES: Mapping[str, Callable[[Wearer, Sequence[str], Mapping[str, str]], dict[str, Any]]] = {
    "identity": health_api.identity,
    "profile": health_api.profile,
    "settings": health_api.settings,
    "pairedDevices": health_api.paired_devices,
}


@dataclass(slots=True)
class Simulator:
    """Everything the simulator remembers; gone when it stops."""

    now: Callable[[], datetime]
    clients: Mapping[str, VendorClient]
    grants: Grants
    started_at: datetime
    faults: Faults = field(default_factory=Faults)

    def wearer(self, account: str) -> Wearer:
        """The account with what its tracker delivered: at the start, and every six hours after it."""
        person = accounts()[account]
        rounds = (self.now() - self.started_at) // TRACKER_SYNC_EVERY
        episode_on = self.started_at.astimezone(person.time_zone).date()
        return Wearer(person, episode_on, self.started_at + rounds * TRACKER_SYNC_EVERY, self.faults.edits(account))


def _simulator(request: Request) -> Simulator:
    found: Simulator = request.app.state.simulator
    return found


def _logged(request: Request, response: Response, *, account: str = "", body: Any = None) -> Response:
    entry = {
        "method": request.method,
        "path": request.url.path,
        "query": dict(request.query_params),
        "body": body,
        "account": account,
        "status": response.status_code,
    }
    _simulator(request).faults.log.append(entry)
    return response


# --- the account service --------------------------------------------------------------------------------------


async def _authorize(request: Request) -> Response:
    simulator = _simulator(request)
    try:
        asked = account_pages.authorize_request(request.query_params, simulator.clients)
    except account_pages.PageRefusal as refusal:
        return _logged(request, HTMLResponse(account_pages.refused_page(refusal), 400))
    page = account_pages.account_page(simulator.grants.remember(asked), asked)
    return _logged(request, HTMLResponse(page))


async def _choose(request: Request) -> Response:
    try:
        handle, asked, account = account_pages.pending(_simulator(request).grants, await request.form())
    except account_pages.PageRefusal as refusal:
        return HTMLResponse(account_pages.refused_page(refusal), 400)
    return HTMLResponse(account_pages.consent_page(handle, asked, account))


async def _consent(request: Request) -> Response:
    form = await request.form()
    try:
        target = account_pages.decide(_simulator(request).grants, form, [str(each) for each in form.getlist("scope")])
    except account_pages.PageRefusal as refusal:
        return HTMLResponse(account_pages.refused_page(refusal), 400)
    return RedirectResponse(target, 303)


async def _oauth(request: Request, where: str, work: Callable[[dict[str, str]], dict[str, Any]]) -> Response:
    form = {name: str(value) for name, value in (await request.form()).items()}
    fault = _simulator(request).faults.take(where)
    try:
        await _before(fault)
        response = _spoilt(fault, work(form))
    except OAuthRefusal as refusal:
        response = JSONResponse(refusal.body, refusal.code)
    except Refusal as refusal:
        response = JSONResponse({"error": refusal.body}, refusal.code, refusal.headers)
    response.headers["Cache-Control"] = "no-store"
    return _logged(request, response, body={"grant_type": form.get("grant_type")})


async def _token(request: Request) -> Response:
    simulator, authorization = _simulator(request), request.headers.get("authorization", "")
    return await _oauth(
        request,
        "token",
        lambda form: account_pages.token_answer(simulator.grants, simulator.clients, authorization, form),
    )


async def _revoke(request: Request) -> Response:
    def work(form: dict[str, str]) -> dict[str, Any]:
        _simulator(request).grants.revoke(form.get("token", ""))
        return {}

    return await _oauth(request, "revoke", work)


# --- the Health API -------------------------------------------------------------------------------------------


async def _before(fault: Fault | None) -> None:
    if fault is None:
        return
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    if fault.kind in REFUSALS:
        raise REFUSALS[fault.kind](fault)


def _half(body: Mapping[str, Any]) -> dict[str, Any]:
    lists = {name: rows[: len(rows) // 2] for name, rows in body.items() if isinstance(rows, list)}
    return {**body, **lists, "nextPageToken": "page-that-cannot-be-read"}


def _spoilt(fault: Fault | None, body: Mapping[str, Any]) -> Response:
    """The answer, damaged as the fault says."""
    kind = "" if fault is None else fault.kind
    if kind == "garbage":
        return HTMLResponse("<html><body>502. That is an error.</body></html>")
    if kind == "empty":
        return Response(b"", media_type="application/json")
    if kind == "truncated":
        text = json.dumps(body)
        return Response(text[: len(text) // 2], media_type="application/json")
    if kind == "partial-page":
        return JSONResponse(_half(body))
    if kind == "empty-page":
        return JSONResponse({"nextPageToken": health_api.FIRST_PAGE})
    return JSONResponse(dict(body))


async def _health(
    request: Request, where: str, work: Callable[[Wearer, Sequence[str]], dict[str, Any]], body: Any = None
) -> Response:
    simulator, account = _simulator(request), ""
    page = 2 if request.query_params.get("pageToken") else 1
    try:
        grant = simulator.grants.bearer(request.headers.get("authorization", ""))
        account = grant.account
        fault = simulator.faults.take(where, account, page)
        await _before(fault)
        response = _spoilt(fault, work(simulator.wearer(account), grant.scopes))
    except Refusal as refusal:
        response = JSONResponse({"error": refusal.body}, refusal.code, refusal.headers)
    except OAuthRefusal as refusal:
        response = JSONResponse(refusal.body, refusal.code)
    return _logged(request, response, account=account, body=body)


async def _resource(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    return await _health(request, name, lambda wearer, scopes: _RESOURCES[name](wearer, scopes, request.query_params))


async def _points(request: Request, method: Method = "list") -> Response:
    name = request.path_params["data_type"]

    def work(wearer: Wearer, scopes: Sequence[str]) -> dict[str, Any]:
        kind = health_api.data_type(name, method, scopes)
        return health_api.read_points(wearer, kind, method, request.query_params)

    return await _health(request, name, work)


async def _rollup(request: Request) -> Response:
    name, raw = request.path_params["data_type"], await request.body()
    try:
        body = json.loads(raw)
    except ValueError:
        body = None

    def work(wearer: Wearer, scopes: Sequence[str]) -> dict[str, Any]:
        kind = health_api.data_type(name, "dailyRollUp", scopes)
        return health_api.rollup_points(wearer, kind, request.query_params, body)

    return await _health(request, name, work, body)


async def _reconcile(request: Request) -> Response:
    return await _points(request, "reconcile")


# --- the simulator's own addresses ----------------------------------------------------------------------------


async def _faults(request: Request) -> Response:
    faults = _simulator(request).faults
    if request.method == "DELETE":
        faults.reset()
    if request.method == "POST":
        try:
            faults.add(fault_from(await request.body()))
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
    return JSONResponse({"faults": [_shown(fault) for fault in faults.active], "edits": len(faults.factors)})


def _shown(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in Fault.__struct_fields__}


async def _log(request: Request) -> Response:
    faults = _simulator(request).faults
    if request.method == "DELETE":
        faults.log.clear()
    return JSONResponse({"requests": faults.log})


async def _withdraw(request: Request) -> Response:
    """The person removes the application in the account settings of the vendor."""
    _simulator(request).grants.withdraw((await request.json()).get("account"))
    return JSONResponse({})


async def _index(_request: Request) -> Response:
    people = [{"email": each.email, "name": each.name, "linked": each.linked} for each in accounts().values()]
    return JSONResponse({"simulator": "Google OAuth 2.0 and Google Health API v4", "accounts": people})


_ROUTES = (
    Route("/", _index),
    Route("/o/oauth2/v2/auth", _authorize),
    Route("/o/oauth2/v2/account", _choose, methods=["POST"]),
    Route("/o/oauth2/v2/consent", _consent, methods=["POST"]),
    Route("/token", _token, methods=["POST"]),
    Route("/revoke", _revoke, methods=["POST"]),
    Route("/v4/users/me/dataTypes/{data_type}/dataPoints", _points),
    Route("/v4/users/me/dataTypes/{data_type}/dataPoints:reconcile", _reconcile),
    Route("/v4/users/me/dataTypes/{data_type}/dataPoints:dailyRollUp", _rollup, methods=["POST"]),
    Route("/simulator/faults", _faults, methods=["GET", "POST", "DELETE"]),
    Route("/simulator/log", _log, methods=["GET", "DELETE"]),
    Route("/simulator/withdraw", _withdraw, methods=["POST"]),
    *(Route(f"/v4/users/me/{name}", _resource, name=name) for name in _RESOURCES),
)


def utc_now() -> datetime:
    return datetime.now(UTC)


def create_simulator(
    clock: Callable[[], datetime] = utc_now,
    clients: Sequence[VendorClient] = (DEFAULT_CLIENT,),
    faults: Sequence[Fault] = (),
) -> Starlette:
    """The application. `clock` gives aware UTC times: data ends at the moment of creation, codes and tokens expire by
    it."""
    app = Starlette(routes=list(_ROUTES))
    simulator = Simulator(clock, {each.client_id: each for each in clients}, Grants(clock), clock())
    for fault in faults:
        simulator.faults.add(fault)
    app.state.simulator = simulator
    return app
