"""The pages of an authorization: begin, sign in, choose a patient, decide.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.oauth.browser import Browser, Form, browser_of, posted, problem, remembered
from fhir_facade.api.oauth.dependencies import OAuthDeps, UnreadableForm, form_pairs, query_pairs
from fhir_facade.api.oauth.login import login_page
from fhir_facade.api.pages.permissions import facts, narrowed, permissions
from fhir_facade.api.pages.render import page, reader_language, see_other
from fhir_facade.api.pages.texts import texts
from fhir_facade.errors import TooManyRequests
from fhir_facade.flows.launch.authorize import (
    NeedsConsent,
    NeedsPatient,
    NotAuthorizable,
    Step,
    begin,
    choose_patient,
    decide,
    next_step,
)
from fhir_facade.flows.launch.opened import Lost
from fhir_facade.flows.launch.server import Answer
from fhir_facade.flows.sessions import SignedIn

Posted = Callable[[OAuthDeps, Request, Browser, SignedIn, Form], Awaitable[Response]]


async def authorize(deps: OAuthDeps, request: Request) -> Response:
    """GET or POST /oauth/authorize: on to our pages, back to the app with an error, or a page when neither is safe."""
    try:
        pairs = query_pairs(request)
        if request.method == "POST":
            pairs += await form_pairs(request)
        begun = await begin(deps.sign_in, pairs, deps.caller(request))
    except (UnreadableForm, NotAuthorizable) as error:
        return problem(request, "problem.client", detail=str(error))
    except TooManyRequests as error:
        answer = problem(request, "trouble.busy.text", status=error.status)
        answer.headers["Retry-After"] = str(error.retry_after_s)
        return answer
    return _redirect(request, begun) if isinstance(begun, Answer) else see_other(_address(begun))


async def proceed(deps: OAuthDeps, request: Request) -> Response:
    """GET /oauth/continue: the page of the next step."""
    browser, handle = await browser_of(deps, request), request.query_params.get("request", "")
    try:
        step = await next_step(deps.sign_in, handle, browser.secret, browser.signed_in)
    except Lost as error:
        return problem(request, "problem.lost", detail=str(error))
    return _show(deps, request, browser, handle, step)


async def pick_patient(deps: OAuthDeps, request: Request) -> Response:
    """POST /oauth/patient."""
    return await _with_form(deps, request, _pick)


async def consent(deps: OAuthDeps, request: Request) -> Response:
    """POST /oauth/consent: back to the app, with a code or without."""
    return await _with_form(deps, request, _consent)


async def _pick(deps: OAuthDeps, request: Request, browser: Browser, signed_in: SignedIn, form: Form) -> Response:
    handle = form.fields.get("request", "")
    await choose_patient(deps.sign_in, handle, browser.secret, signed_in, form.fields.get("patient", ""))
    return see_other(_address(handle))


async def _consent(deps: OAuthDeps, request: Request, browser: Browser, signed_in: SignedIn, form: Form) -> Response:
    allowed = form.fields.get("decision") == "allow"
    ticked = narrowed(form.many.get("scope", ()), form.many.get("only", ())) if allowed else None
    handle = form.fields.get("request", "")
    answer = await decide(deps.sign_in, handle, browser.secret, signed_in, ticked, deps.caller(request))
    return _redirect(request, answer)


async def _with_form(deps: OAuthDeps, request: Request, act: Posted) -> Response:
    browser, form = await posted(deps, request)
    if form is None:
        return problem(request, "problem.form", status=403)
    if browser.signed_in is None:
        return see_other(_address(form.fields.get("request", "")))
    try:
        return await act(deps, request, browser, browser.signed_in, form)
    except Lost as error:
        return problem(request, "problem.lost", detail=str(error))


def _show(deps: OAuthDeps, request: Request, browser: Browser, handle: str, step: Step) -> Response:
    signed_in, here = browser.signed_in, _address(handle)
    if signed_in is None or not isinstance(step, NeedsPatient | NeedsConsent):
        return login_page(deps, request, browser, here)
    common: dict[str, Any] = {
        "csrf": browser.csrf,
        "handle": handle,
        "here": here,
        "username": signed_in.account.username,
        "client_name": step.client_name,
        "role": signed_in.account.role,
    }
    if isinstance(step, NeedsPatient):
        return remembered(deps, browser, page(request, "sign_in/patient.html", patients=step.patients, **common))
    t, own = texts(reader_language(request)), signed_in.account.role == "patient"
    return page(
        request,
        "sign_in/consent.html",
        form_targets=[step.redirect_origin],
        patient=step.patient[1] if step.patient else "",
        redirect_origin=step.redirect_origin,
        verified=step.verified,
        own=own,
        permissions=permissions(step.scopes, t, own=own),
        facts=facts(step.scopes, t, own=own),
        **common,
    )


def _redirect(request: Request, answer: Answer) -> Response:
    if answer.location is None:
        return problem(request, "problem.client", detail=str(answer.body.get("error_description", "")))
    return see_other(answer.location)


def _address(handle: str) -> str:
    return f"/oauth/continue?{urlencode({'request': handle})}"
