"""The SMART client for Python (`fhirclient`) as its documentation uses it. https://github.com/smart-on-fhir/client-py"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.codeableconcept import CodeableConcept
from fhirclient.models.fhirdate import FHIRDate
from fhirclient.models.fhirdatetime import FHIRDateTime
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.humanname import HumanName
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.models.practitioner import Practitioner
from fhirclient.server import FHIRNotFoundException, FHIRPermissionDeniedException, FHIRUnauthorizedException
from joserfc import jwt
from joserfc.jwk import RSAKey
from requests import HTTPError

from fhir_facade.flows.launch.clients import NewClient
from tests.clients.conftest import DOCTOR, Site

REDIRECT = "https://python.example/callback"
SECRET = "a-secret-of-the-python-app-0123"
SCOPE = "user/*.* patient/*.read openid profile"
"""What the client asks for unless it is told otherwise; it adds launch/patient."""
ANN = "clients-ann"

Settings = dict[str, Any]


@pytest.fixture(scope="module")
def registered(site: Site) -> Site:
    allowed = f"launch launch/patient offline_access fhirUser {SCOPE}"
    site.register(NewClient("python", "public", allowed, redirect_uris=(REDIRECT,)))
    site.register(NewClient("python-secret", "confidential", allowed, redirect_uris=(REDIRECT,), secret=SECRET))
    return site


@pytest.fixture(scope="module")
def signed_in(registered: Site) -> Callable[..., FHIRClient]:
    """A client that somebody signed in to, all the way through the pages."""

    def launch(username: str = "bob", patient: str | None = ANN, **settings: Any) -> FHIRClient:
        smart = FHIRClient(settings=app(registered, **settings))
        assert not smart.ready
        assert not smart.prepare()
        smart.handle_callback(registered.allow(smart.authorize_url, username, patient))
        assert smart.ready
        return smart

    return launch


def app(site: Site, **changes: Any) -> Settings:
    return {"app_id": "python", "api_base": site.fhir, "redirect_uri": REDIRECT} | changes


@pytest.fixture(scope="module")
def smart(signed_in: Callable[..., FHIRClient]) -> FHIRClient:
    """Of the practitioner bob, with the record of ann open; the scope is the client's own."""
    return signed_in()


@pytest.fixture
def someone(site: Site, smart: FHIRClient, mark: str) -> Patient:
    """A patient of the test's own whom bob cares for; who that is, is not for him to say."""
    name, care = HumanName(), FHIRReference({"reference": f"Practitioner/{DOCTOR}"})
    name.family, name.given = mark.title(), ["Python"]
    person = Patient()
    person.name, person.generalPractitioner, person.birthDate = [name], [care], FHIRDate("1980-02-03")
    with site.http() as admission:
        made = admission.post("/Patient", json=person.as_json()).json()
    return Patient.read(made["id"], smart.server)


def observed(patient: Patient, day: int, **elements: Any) -> Observation:
    observation = Observation({"status": "final", "code": {"text": "weight"}} | elements)
    observation.subject = FHIRReference({"reference": patient.relativePath()})
    observation.effectiveDateTime = FHIRDateTime(f"2026-01-0{day}")
    return observation


# --- signing in ---------------------------------------------------------------------------------------------------


def test_an_app_that_nobody_signed_in_to_is_told_so(registered: Site) -> None:
    with pytest.raises(FHIRUnauthorizedException):
        Patient.read(ANN, FHIRClient(settings=app(registered)).server)


def test_a_person_signs_in_and_the_app_reads_the_patient_that_was_chosen(smart: FHIRClient) -> None:
    assert smart.patient_id == ANN
    assert smart.human_name(smart.patient.name[0]) == "Ann Example"
    assert set(smart.launch_context["scope"].split()) == {*SCOPE.split(), "launch/patient"}
    assert Practitioner.read(DOCTOR, smart.server).name[0].text == "Dr. Bob Berg"


def test_the_state_that_was_saved_goes_on(registered: Site) -> None:
    saved: list[str] = []
    first = FHIRClient(settings=app(registered), save_func=lambda state: saved.append(json.dumps(state)))
    callback = registered.allow(first.authorize_url, "ann")

    second = FHIRClient(state=json.loads(saved[-1]), save_func=lambda state: saved.append(json.dumps(state)))
    second.handle_callback(callback)
    third = FHIRClient(state=json.loads(saved[-1]))

    assert third.ready
    assert third.patient.id == ANN


def test_a_refusal_of_the_person_is_told(registered: Site) -> None:
    smart = FHIRClient(settings=app(registered))
    callback = registered.allow(smart.authorize_url, "ann", decision="deny")

    with pytest.raises(Exception, match="denied"):
        smart.handle_callback(callback)
    assert not smart.ready


@pytest.mark.parametrize("secret", [{}, {"app_id": "python-secret", "app_secret": SECRET}], ids=["public", "secret"])
def test_an_app_with_offline_access_is_authorized_again(signed_in: Callable[..., FHIRClient], secret: Settings) -> None:
    smart = signed_in("ann", None, scope=f"offline_access {SCOPE}", **secret)
    before = smart.server.auth.access_token, smart.server.auth.refresh_token

    assert smart.reauthorize()

    after = smart.server.auth.access_token, smart.server.auth.refresh_token
    assert set(before).isdisjoint(after)
    assert smart.launch_context["patient"] == ANN
    assert Patient.read(ANN, smart.server).name[0].family == "Example"


def test_a_token_that_has_ended_is_renewed_when_the_patient_is_read(signed_in: Callable[..., FHIRClient]) -> None:
    smart = signed_in("ann", None, scope=f"offline_access {SCOPE}")
    smart.server.auth.access_token = "has-ended"

    assert smart.patient.id == ANN
    assert smart.server.auth.access_token != "has-ended"


def test_a_launch_from_within_an_ehr(registered: Site) -> None:
    with registered.http() as ehr:
        body = {"client_id": "python", "user": "bob", "patient": ANN, "intent": "look"}
        issued = ehr.post(f"{registered.server.url}/api/v1/launches", json=body)
    assert issued.status_code == 201, issued.text
    smart = FHIRClient(settings=app(registered, launch_token=issued.json()["launch"]))

    smart.handle_callback(registered.allow(smart.authorize_url, "bob"))

    assert smart.launch_context["intent"] == "look"
    assert smart.patient.id == ANN


def test_a_backend_service_signs_in_with_its_key(registered: Site) -> None:
    key = RSAKey.generate_key(2048, {"kid": "python", "alg": "RS384", "use": "sig"})
    jwks = json.dumps({"keys": [key.as_dict(private=False)]})
    registered.register(NewClient("python-backend", "backend", "system/Patient.rs", jwks=jwks))
    now, token_url = int(datetime.now(UTC).timestamp()), f"{registered.server.url}/oauth/token"
    claims = {"iss": "python-backend", "sub": "python-backend", "aud": token_url, "exp": now + 200}
    header = {"alg": "RS384", "kid": "python", "typ": "JWT"}
    signed = jwt.encode(header, {**claims, "jti": secrets.token_hex(16)}, key, ["RS384"])
    smart = FHIRClient(
        settings={
            "app_id": "python-backend",
            "api_base": registered.fhir,
            "jwt_token": signed,
            "scope": "system/Patient.rs",
        }
    )
    smart.wants_patient = False

    smart.prepare()
    smart.authorize()

    assert smart.ready
    assert Patient.read(ANN, smart.server).id == ANN


# --- resources ----------------------------------------------------------------------------------------------------


def test_errors_are_those_that_the_client_knows(smart: FHIRClient, signed_in: Callable[..., FHIRClient]) -> None:
    own = signed_in("ann", None, scope="patient/Patient.rs")
    with pytest.raises(FHIRNotFoundException):
        Patient.read(str(uuid.uuid4()), smart.server)
    with pytest.raises(FHIRNotFoundException):
        Patient.read("clients-carl", own.server)
    with pytest.raises(FHIRPermissionDeniedException):
        observed(Patient({"id": ANN}), 1).create(own.server)
    with pytest.raises(HTTPError, match="422"):
        smart.server.post_json("Observation", {**observed(Patient({"id": ANN}), 1).as_json(), "nonsense": True})


def test_a_resource_is_created_updated_and_deleted(smart: FHIRClient, someone: Patient) -> None:
    made = observed(someone, 1).create(smart.server)
    read = Observation.read(made["id"], smart.server)
    assert read.as_json() == made
    read.status = "amended"
    read.update()

    changed = Observation.read(read.id, smart.server)
    assert (changed.status, changed.meta.versionId) == ("amended", "2")
    outcome = changed.delete()
    assert outcome is None or outcome["resourceType"] == "OperationOutcome"
    with pytest.raises(HTTPError, match="410"):
        Observation.read(read.id, smart.server)


def test_a_transaction(smart: FHIRClient, someone: Patient) -> None:
    entry = [
        {"resource": observed(someone, day).as_json(), "request": {"method": "POST", "url": "Observation"}}
        for day in (1, 2)
    ]
    answer = Bundle({"type": "transaction", "entry": entry}).create(smart.server)

    assert [each["response"]["status"][:3] for each in answer["entry"]] == ["201", "201"]


def test_searches_pages_and_includes(smart: FHIRClient, someone: Patient) -> None:
    for day in range(1, 6):
        observed(someone, day).create(smart.server)
    own = {"patient": someone.id, "_sort": "date"}
    search = Observation.where(struct={**own, "_count": "2"})

    assert [len(page.entry) for page in search.perform_iter(smart.server)] == [2, 2, 1]
    found = list(search.perform_resources_iter(smart.server))
    assert [one.effectiveDateTime.date.day for one in found] == [1, 2, 3, 4, 5]
    with pytest.warns(DeprecationWarning, match="perform_resources_iter"):
        assert len(search.perform_resources(smart.server)) == 5
    with pytest.warns(DeprecationWarning, match="perform_iter"):
        assert search.perform(smart.server).type == "searchset"
    included = Observation.where(struct=dict(own)).include("subject").perform_resources_iter(smart.server)
    assert {type(one) for one in included} == {Observation, Patient}
    reverse = Patient.where(struct={"_id": someone.id}).include("subject", Observation, reverse=True)
    assert sum(isinstance(one, Observation) for one in reverse.perform_resources_iter(smart.server)) == 5


def test_search_structures(smart: FHIRClient, someone: Patient) -> None:
    observed(someone, 3, code={"coding": [{"system": "urn:test", "code": "a"}], "text": "weight"}).create(smart.server)
    family = someone.name[0].family

    def patients(**struct: Any) -> list[str]:
        found = Patient.where(struct={"_id": someone.id, **struct}).perform_resources_iter(smart.server)
        return [one.id for one in found]

    def observations(**struct: Any) -> int:
        found = Observation.where(struct={"patient": someone.id, **struct}).perform_resources_iter(smart.server)
        return len(list(found))

    assert patients(name={"$or": [family, "nobody"]}) == [someone.id]
    assert patients(name={"$and": [family, "nobody"]}) == []
    assert patients(family={"$exact": family}) == [someone.id]
    assert patients(family={"$exact": family.lower()}) == []
    assert patients(gender={"$missing": "true"}, birthdate={"$null": "false"}) == [someone.id]
    assert patients(birthdate={"$gt": "1980-01-01", "$lt": "1980-12-31"}) == [someone.id]
    assert patients(birthdate={"$gte": "1980-02-04"}) == []
    assert patients(birthdate={"$lte": "1980-02-03"}) == [someone.id]
    assert patients(_sort={"$desc": "birthdate"}) == [someone.id]
    assert observations(code={"$text": "weight"}) == 1
    assert observations(subject={"$type": "Patient", "name": {"$exact": family}}) == 1
    assert observations(date="lt2026-01-03") == 0


def test_a_value_of_code_is_written_as_it_was_read(smart: FHIRClient, someone: Patient) -> None:
    concept = CodeableConcept({"text": "ünï ☃"})
    observation = observed(someone, 1)
    observation.code = concept

    assert Observation.read(observation.create(smart.server)["id"], smart.server).code.text == "ünï ☃"
