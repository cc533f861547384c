"""The portal and the convenience API: forms and documents of people who are signed in, whole and bent."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from fhir_facade.api.portal.routes import ACTS, LOOKS
from mappers.vitals import members
from tests.fuzz.resources import RESOURCES, made
from tests.fuzz.searches import FORM
from tests.fuzz.seeds import ANNA
from tests.fuzz.stage import CALLERS, PASSWORD, PEOPLE
from tests.fuzz.values import HEADER_TEXTS, JSON, VALUES, Texts, anything, in_address, mostly, query, seldom, words
from tests.fuzz.wire import Request
from tests.fuzz.writes import encoded

_NAMES: Final[Texts] = st.one_of(
    words("anna bert dora {account} {connection} {client} google-health app x 0 acknowledge resolve"),
    anything().map(in_address),
)
_FIELDS: Final[dict[str, Texts]] = {
    "patient": st.sampled_from((ANNA, "bert", "x")),
    "vendor": words("google-health x"),
    "reason": st.sampled_from(("because it is an emergency here", "x", "a" * 3000)),
    "client": words("app server x"),
    "kinds": words("heart-rate steps x"),
    "categories": words("activity sleep x"),
    "until": words("2027-01-01 0001-01-01 9999-12-31 x"),
    "period": words("7 30 x -1"),
    "old": st.sampled_from(("x", "a" * 2000)),
    "new": st.sampled_from((PASSWORD, "x", "a" * 2000)),
    "again": st.sampled_from((PASSWORD, "x")),
    "current": words("x"),
    "password": words("x"),
    "scope": words("patient/*.rs x"),
    "note": words("x"),
    "version": words("1 0 -1 x"),
    "name": words("x"),
    "address": words("x"),
}


@st.composite
def _path(draw: st.DrawFn, shape: str) -> str:
    """The address with something in its places."""
    parts = [draw(_NAMES) if part.startswith("{") else part for part in shape.split("/")]
    return "/".join(parts)


@st.composite
def portal_requests(draw: st.DrawFn) -> Request:
    """A page looked at or a form sent."""
    caller = draw(st.sampled_from(("anna", "dora", "root", "sten", *CALLERS)))
    given = draw(
        st.lists(
            st.sampled_from(sorted(_FIELDS)).flatmap(
                lambda name: st.tuples(st.just(name), st.one_of(_FIELDS[name], VALUES))
            ),
            max_size=5,
        )
    )
    given += draw(st.lists(st.tuples(VALUES, VALUES), max_size=1))
    extra = (
        ("Accept", draw(words("text/html text/html application/json"))),
        ("Accept-Language", draw(st.one_of(words("de en"), HEADER_TEXTS))),
    )
    if draw(st.booleans()):
        shape = draw(
            st.one_of(
                st.sampled_from([path for path, _ in LOOKS]),
                words("/ /language /login /docs /static/facade.css /static/../x /static/%00"),
            )
        )
        return Request("GET", f"{draw(_path(shape))}?{query(given)}", caller, extra)
    path = draw(_path(draw(st.sampled_from([path for path, _ in ACTS]))))
    body = ("" if seldom(draw) else "csrf={csrf}&") + query(given)
    return Request("POST", path, caller, (FORM, *extra), body.encode())


_ZONES: Final = words("UTC Europe/Berlin Mars/Phobos ../UTC x")
_PASSWORDS: Final = st.sampled_from((PASSWORD, "x", "a" * 5000))


def _some(
    usual: dict[str, st.SearchStrategy[Any]], needed: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Any]:
    """A document with what it needs and some of the rest, members bent now and then."""
    bent = {name: mostly(worth, JSON) for name, worth in (usual | needed).items()}
    return mostly(
        st.fixed_dictionaries({name: bent[name] for name in needed}, optional={name: bent[name] for name in usual}),
        st.fixed_dictionaries({}, optional=bent),
    )


_NUMBERS: Final = st.sampled_from((0, 1, -1, 72.5, 36.6, 1e308, 10**400, "1"))
_PATIENTS: Final = st.builds(made, st.just("Patient"), st.integers(0, 2**32))
_DOCUMENTS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "accounts/register": _some({"zone": _ZONES}, {"username": _NAMES, "password": _PASSWORDS, "patient": _PATIENTS}),
    "accounts": _some(
        {
            "zone": _ZONES,
            "person": _PATIENTS,
            **dict.fromkeys(("patient", "practitioner", "related_person", "organization"), words("anna dora house x")),
        },
        {"username": _NAMES, "password": _PASSWORDS, "role": words("patient proxy practitioner staff admin x")},
    ),
    "accounts/{}": _some({"zone": _ZONES, "password": _PASSWORDS, "disabled": st.booleans()}, {}),
    "me": _some({"zone": _ZONES, "password": st.just("x"), "current_password": _PASSWORDS}, {}),
    "launches": _some(
        {
            **dict.fromkeys(("patient", "user", "encounter", "intent"), words("anna stay x")),
            "need_patient_banner": st.booleans(),
        },
        {"client_id": words("app server x")},
    ),
    "connections": _some({"patient": words("anna bert x")}, {"vendor": words("google-health x")}),
    "connections/{}/sync": _some({"full": st.booleans(), "wait_s": st.sampled_from((0, 1, -1, 1e9))}, {}),
    "patients/anna/vitals": st.one_of(
        st.dictionaries(
            st.sampled_from((*members(), "effective")),
            st.one_of(
                _NUMBERS,
                words("2026-11-20T08:00:00Z 2026-11-20 9999-12-31T23:59:60Z x"),
                st.fixed_dictionaries({}, optional=dict.fromkeys(("systolic", "diastolic", "value"), _NUMBERS)),
                JSON,
            ),
            max_size=4,
        ),
        st.fixed_dictionaries({"vitals": JSON}),
        RESOURCES,
    ),
    "patients/{}/score": JSON,
    "patients/anna/score": JSON,
    "patients/{}/emergency-access": _some({}, {"reason": st.just("because it is an emergency here")}),
    "alerts/{}/acknowledge": _some({"note": words("x"), "reason": words("x")}, {}),
}
_READ: Final = words(
    "me me/access-log accounts accounts/{} alerts alerts/{} alerts/stream connections connections/{} connections/callback patients/{}/score"
)


@st.composite
def convenience_requests(draw: st.DrawFn) -> Request:
    """/api/v1 by token and by session."""
    caller = draw(st.sampled_from((*PEOPLE, *PEOPLE, "doctor", *CALLERS)))
    name = draw(_NAMES)
    extra = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "If-Match": HEADER_TEXTS,
                "Last-Event-ID": HEADER_TEXTS,
                "X-CSRF-Token": HEADER_TEXTS,
                "Accept": words("text/html */*"),
            },
        )
    )
    if draw(st.booleans()):
        given = draw(
            st.lists(
                st.tuples(
                    st.one_of(
                        words("patient status _count cursor since until kind limit page state code error score offset"),
                        VALUES,
                    ),
                    VALUES,
                ),
                max_size=3,
            )
        )
        method, path = "GET", draw(_READ)
        if seldom(draw):
            method, path = draw(words("DELETE HEAD OPTIONS")), draw(words("accounts/{} connections/{} alerts/{}"))
        return Request(method, f"/api/v1/{path.replace('{}', name)}?{query(given)}", caller, tuple(extra.items()))
    path = draw(st.sampled_from(sorted(_DOCUMENTS)))
    document = draw(mostly(_DOCUMENTS[path], JSON))
    body = draw(mostly(st.just(encoded(document)), st.binary(max_size=30)))
    method = "PATCH" if path in ("me", "accounts/{}") else "POST"
    kind = draw(
        mostly(st.just("application/json"), st.one_of(words("application/x-www-form-urlencoded"), HEADER_TEXTS))
    )
    return Request(
        method, f"/api/v1/{path.replace('{}', name)}", caller, (("Content-Type", kind), *extra.items()), body
    )
