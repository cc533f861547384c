"""E: launches from within an EHR, by its services and by the people on our own pages."""

import asyncio

import httpx
import pytest

from tests.conformance.smart.conftest import LAUNCH, ORIGIN, PASSWORD
from tests.forms import follow, form_of, sign_in
from tests.patience import PATIENCE_S
from tests.sign_in_world import query_of

SCOPE = "launch openid fhirUser offline_access user/*.rs patient/*.rs"
CONTEXT = [{"reference": "ImagingStudy/kit-study"}, {"canonical": "http://kit.example/questionnaire", "role": "about"}]


async def launched(kit, *, scope=SCOPE, username="bob", **changes):
    issued = await kit.ehr_launch(**changes)
    assert issued.status_code == 201, issued.text
    return await kit.launch(username=username, launch=issued.json()["launch"], scope=scope)


async def tokens(kit, **changes):
    answer = await kit.redeem(await launched(kit, **changes))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def portal(kit, browser, username="bob", path="/patients/kit-ann"):
    """A page of the portal, for somebody who signs in."""
    page = await browser.get("/login", params={"next": path})
    return await follow(browser, await sign_in(browser, page, username, PASSWORD))


async def test_e1_e2_the_app_is_told_who_launches_it(kit):
    issued = (await kit.ehr_launch()).json()
    assert issued["url"].startswith(LAUNCH + "?")
    assert query_of(issued["url"]) == {"iss": kit.fhir, "launch": issued["launch"]}


async def test_e1_e2_a_person_opens_the_app_from_the_record(kit):
    async with kit.client() as browser:
        page = await portal(kit, browser)
        assert "https://kit.example" in page.headers["content-security-policy"].partition("form-action")[2]
        opened = await browser.post("/launches", data=form_of(page, "/launches").fields())
        assert opened.status_code == 303
        told = query_of(opened.headers["location"])
    assert told["iss"] == kit.fhir
    body = (await kit.redeem(await kit.launch(username="bob", launch=told["launch"], scope=SCOPE))).json()
    assert body["patient"] == "kit-ann"


async def test_e1_e2_a_page_of_the_portal_asks_for_a_launch(kit):
    async with kit.client() as browser:
        csrf = form_of(await portal(kit, browser), "/logout").fields()["csrf"][0]
        body, headers = {"client_id": "public", "patient": "kit-ann"}, {"x-csrf-token": csrf}
        assert (await browser.post("/api/v1/launches", json=body, headers=headers)).status_code == 201
        assert (await browser.post("/api/v1/launches", json=body)).status_code == 403


async def test_e3_to_e9_the_launch_ends_in_a_token_that_reads(kit):
    answer = await kit.redeem(await launched(kit), headers={"origin": ORIGIN})
    body = answer.json()
    assert set(body["scope"].split()) == set(SCOPE.split())
    assert body["id_token"]
    assert "no-store" in answer.headers["cache-control"]
    assert "no-cache" in answer.headers["pragma"]
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)


async def test_e6_the_context_of_the_launch_arrives_with_the_token(kit):
    body = await tokens(kit, intent="summary-review", fhirContext=CONTEXT, encounter="kit-visit")
    assert (body["intent"], body["fhirContext"], body["tenant"]) == ("summary-review", CONTEXT, "default")


async def test_e10_patient_and_encounter_of_the_launch_can_be_read(kit):
    body = await tokens(kit, encounter="kit-visit")
    for path in (f"Patient/{body['patient']}", f"Encounter/{body['encounter']}"):
        assert (await kit.read(path, body["access_token"])).status_code == 200


async def test_e11_the_style_is_json_for_every_origin(kit):
    answer = httpx.get((await tokens(kit))["smart_style_url"], headers={"origin": ORIGIN}, timeout=PATIENCE_S)
    assert answer.status_code == 200
    assert answer.json()["color_text"].startswith("#")
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("banner", [True, False])
async def test_e12_the_app_learns_whether_it_shows_the_patient(kit, banner):
    assert (await tokens(kit, need_patient_banner=banner))["need_patient_banner"] is banner


async def test_e13_patient_scopes_work_in_a_launch_of_the_patient(kit):
    body = await tokens(kit, user="ann", username="ann", scope="launch openid fhirUser patient/Patient.rs")
    assert "patient/Patient.rs" in body["scope"].split()
    assert (await kit.read(f"Patient/{body['patient']}", body["access_token"])).status_code == 200


async def test_context_stays_with_a_refresh_and_with_introspection(kit):
    body = await tokens(kit, encounter="kit-visit", intent="reconcile")
    again = (await kit.token({"grant_type": "refresh_token", "refresh_token": body["refresh_token"]})).json()
    held = {"authorization": f"Bearer {again['access_token']}"}
    async with kit.client() as app:
        data = {"token": again["access_token"]}
        told = (await app.post(kit.smart["introspection_endpoint"], data=data, headers=held)).json()
    for name in ("patient", "encounter", "intent"):
        assert body[name] == again[name] == told[name]


async def test_without_a_launch_there_is_no_launch_context(kit):
    body = (await kit.redeem(await kit.launch(scope="launch launch/patient patient/*.rs"))).json()
    assert "launch" not in body["scope"].split()
    assert not {"encounter", "intent", "fhirContext", "tenant"} & body.keys()


# --- what must not work ---------------------------------------------------------------------------------------


async def test_a_launch_works_once(kit):
    token = (await kit.ehr_launch()).json()["launch"]
    assert (await kit.launch(username="bob", launch=token, scope=SCOPE)).answer["code"]
    again = await kit.launch(username="bob", launch=token, scope=SCOPE)
    assert again.answer["error"] == "invalid_request"


async def test_of_parallel_launches_with_one_token_one_gets_a_code(kit):
    token = (await kit.ehr_launch()).json()["launch"]
    several = [kit.launch(username="bob", launch=token, scope=SCOPE) for _ in range(3)]
    answers = await asyncio.gather(*several, return_exceptions=True)
    assert sum(not isinstance(each, Exception) and "code" in each.answer for each in answers) == 1


@pytest.mark.parametrize(
    "changes", [{"client_id": "symmetric"}, {"launch": "ffl_unknown"}], ids=["another app", "unknown"]
)
async def test_a_launch_of_another_app_or_of_nobody_is_refused(kit, changes):
    token = (await kit.ehr_launch()).json()["launch"]
    answer = (await kit.launch(**({"launch": token, "scope": SCOPE} | changes))).answer
    assert answer["error"] == "invalid_request"


async def test_a_launch_is_for_its_user_alone_and_stays_theirs(kit):
    token = (await kit.ehr_launch()).json()["launch"]
    async with kit.client() as browser:
        asked = (await kit.launch(launch="ffl_x", scope=SCOPE)).asked | {"launch": token}
        page = await follow(browser, await browser.get("/oauth/authorize", params=asked))
        answer = await follow(browser, await sign_in(browser, page, "ann", PASSWORD))
        assert answer.status_code == 400
        assert "somebody else" in answer.text
    assert (await kit.launch(username="bob", launch=token, scope=SCOPE)).answer["code"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"client_id": "nobody"}, 400, id="unknown app"),
        pytest.param({"client_id": "backend"}, 400, id="an app without people"),
        pytest.param({"user": "nobody"}, 400, id="unknown user"),
        pytest.param({"user": None}, 400, id="no user"),
        pytest.param({"patient": "kit-nobody"}, 404, id="unknown patient"),
        pytest.param({"encounter": "kit-nowhere"}, 404, id="unknown encounter"),
        pytest.param({"patient": "kit-carl", "encounter": "kit-visit"}, 400, id="encounter of another patient"),
        pytest.param({"patient": None, "encounter": "kit-visit"}, 400, id="encounter without patient"),
        pytest.param({"intent": "a\nb"}, 400, id="intent with a line break"),
        pytest.param({"fhirContext": [{"role": "x"}]}, 400, id="context without anything"),
        pytest.param({"fhirContext": [{"reference": "Patient/x"}]}, 400, id="a patient in fhirContext"),
        pytest.param({"fhirContext": [{"reference": "http://x.example/List/1"}]}, 400, id="absolute reference"),
    ],
)
async def test_a_launch_that_cannot_be_meant_is_not_made(kit, changes, status):
    assert (await kit.ehr_launch(**changes)).status_code == status


async def test_a_person_launches_only_for_patients_of_their_own(kit):
    async with kit.client() as browser:
        csrf = form_of(await portal(kit, browser, "ann", "/"), "/logout").fields()["csrf"][0]
        body = {"client_id": "public", "patient": "kit-carl"}
        answer = await browser.post("/api/v1/launches", json=body, headers={"x-csrf-token": csrf})
    assert answer.status_code == 404


async def test_an_app_with_one_patients_record_launches_nothing(kit):
    body = (await kit.redeem(await kit.launch())).json()
    async with kit.client() as app:
        held = {"authorization": f"Bearer {body['access_token']}"}
        asked = {"client_id": "public", "patient": "kit-ann"}
        assert (await app.post("/api/v1/launches", json=asked, headers=held)).status_code == 403
