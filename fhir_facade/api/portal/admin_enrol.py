"""A new account, with its Patient or Practitioner made beside it: both or none. Its owner chooses the password.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md (6.4.1)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from fhir_facade.api.oauth.browser import Form
from fhir_facade.api.pages.texts import LANGUAGES
from fhir_facade.api.portal.admin import actor, administrated
from fhir_facade.api.portal.admin_accounts import account_page
from fhir_facade.api.portal.password_links import address_of
from fhir_facade.api.portal.visit import Visit
from fhir_facade.errors import BadRequest, Conflict
from fhir_facade.flows.accounts import ROLES, NewAccount
from fhir_facade.flows.enrol import ID_OF, enrol
from fhir_facade.flows.password_links import make_password_link
from fhir_facade.values import JsonObject

FIELDS: Final = (
    *("username", "email", "zone", "language"),
    *("given", "family", "born", "doctor", "patient", "organization", "existing"),
)
LONGEST: Final = 200


async def look(visit: Visit) -> Response:
    """GET /admin/accounts/new?role=: the fields of that role."""
    administrated(visit)
    role = visit.request.query_params.get("role", "")
    language = {"language": visit.language, "zone": visit.signed_in.account.zone}
    return _page(visit, role if role in ROLES else ROLES[0], language)


async def make(visit: Visit, form: Form) -> Response:
    """POST /admin/accounts: the account, and the link to choose its password, shown only here."""
    ports = administrated(visit)
    role = form.fields.get("role", "")
    typed = {name: form.fields.get(name, "").strip()[:LONGEST] for name in FIELDS}
    try:
        person = _person(role, typed)
        made = await enrol(ports, _new(visit, role, typed), person, actor=actor(visit), origin=visit.origin)
    except (BadRequest, Conflict) as error:
        return _page(visit, role if role in ROLES else ROLES[0], typed, status=error.status, problem=str(error))
    secret = await make_password_link(ports, made.id, actor=actor(visit))
    return await account_page(visit, made, status=201, link=address_of(visit, secret))


def _new(visit: Visit, role: str, typed: Mapping[str, str]) -> NewAccount:
    """With a password that nobody knows: it is replaced by way of the link."""
    ids = {field: typed["existing"] or None for name, field in ID_OF.items() if name == role}
    return NewAccount(
        username=typed["username"],
        role=role,
        password=visit.ports.ids.secret(),
        zone=typed["zone"] or "UTC",
        organization_id=typed["organization"] or None if role == "staff" else None,
        email=typed["email"] or None,
        language=typed["language"] if typed["language"] in LANGUAGES else visit.language,
        **ids,
    )


def _person(role: str, typed: Mapping[str, str]) -> JsonObject | None:
    """The resource to make with the account; None where there is one already, or none is needed."""
    if role not in ID_OF or typed["existing"]:
        return None
    if not typed["given"] and not typed["family"]:
        raise BadRequest("Say the name of the person, or the id of the record that is there already.")
    name: dict[str, Any] = {"family": typed["family"]} if typed["family"] else {}
    if typed["given"]:
        name["given"] = typed["given"].split()
    return {"name": [name], **_more(role, typed)}


def _more(role: str, typed: Mapping[str, str]) -> JsonObject:
    if role == "proxy":
        return {"patient": {"reference": f"Patient/{typed['patient']}"}, "active": True}
    if role != "patient":
        return {}
    born: JsonObject = {"birthDate": typed["born"]} if typed["born"] else {}
    doctor = [{"reference": f"Practitioner/{typed['doctor']}"}]
    return {**born, "generalPractitioner": doctor} if typed["doctor"] else born


def _page(visit: Visit, role: str, typed: Mapping[str, str], *, status: int = 200, problem: str = "") -> Response:
    return visit.show(
        "portal/admin_new_account.html",
        status=status,
        role=role,
        roles=ROLES,
        typed={name: typed.get(name, "") for name in FIELDS},
        problem=problem,
        languages=LANGUAGES,
        mail=visit.ports.mailer is not None,
    )
