"""Every page for every reader: axe-core, light and dark, 320 px, no complaint of the browser.

https://www.w3.org/TR/WCAG22/
"""

import base64
import hashlib
import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

REDIRECT = "http://127.0.0.1:9/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.rs"

PAGES = {
    "landing": (None, "/"),
    "sign-in": (None, "/login"),
    "nothing-here": (None, "/nowhere"),
    "record": ("dora", "/"),
    "record-empty": ("ann", "/"),
    "access-log": ("dora", "/access-log"),
    "my-apps": ("ann", "/apps"),
    "sign-ins": ("ann", "/sign-ins"),
    "sign-out": ("ann", "/oauth/logout"),
    "worklist": ("bo", "/"),
    "patient": ("bo", "/patients/dora"),
    "emergency": ("bo", "/emergency"),
    "administration": ("root", "/"),
    "administration-apps": ("root", "/admin/apps"),
    "administration-accounts": ("root", "/admin/accounts"),
    "administration-nobody": ("root", "/admin/accounts?text=nobody-of-that-name"),
    "administration-new-patient": ("root", "/admin/new-account?role=patient"),
    "administration-new-backend": ("root", "/admin/new-app?kind=backend"),
    "link-that-is-over": (None, "/new-password?link=used"),
    "not-yours": ("ann", "/admin/accounts"),
    "returned-stale": (None, "/api/v1/connections/callback?state=unknown&code=x"),
}


@pytest.fixture(scope="session")
def app(world):
    """The address at which an app begins to ask for access."""
    options = ("--type", "public", "--redirect-uri", REDIRECT, "--scope", SCOPE)
    world.server.command("client", "add", "--client-id", "app", *options)
    asked = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": REDIRECT,
        "scope": SCOPE,
        "state": "a state",
        "aud": f"{world.url}/fhir",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"/oauth/authorize?{urlencode(asked)}"


def check(someone):
    """On a bright phone and on a dark desktop, with everything unfolded: nothing grave for axe-core, nothing to scroll
    sideways; and nothing in the console but an error page's own status."""
    page = someone.page
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    for width, scheme in ((320, "light"), (1280, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert someone.too_wide() <= 0, width
        assert someone.violations() == [], (width, scheme)
    assert [text for text in someone.complaints if "the server responded with a status of 4" not in text] == []


@pytest.fixture(scope="module")
def kept():
    """By name, what the browser of somebody keeps who signed in."""
    return {}


@pytest.fixture
def signed_in(visitor, kept):
    """A visitor who is signed in already, for who has a name: for all pages they do so once."""

    def open_browser(who, **options):
        if who is not None and who not in kept:
            first = visitor()
            first.sign_in(who)
            kept[who] = first.page.context.storage_state()
        return visitor(storage_state=kept.get(who), **options)

    return open_browser


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(signed_in, dora, name):
    who, path = PAGES[name]
    someone = signed_in(who)
    someone.open(path)
    check(someone)


def test_the_pages_of_a_connection_are_for_everybody(signed_in, dora):
    someone = signed_in(dora)
    someone.open("/")
    someone.page.get_by_role("link", name="Details").click()
    someone.page.get_by_role("heading", name="Google Health").wait_for()
    brand, way_out = someone.page.locator(".brand"), someone.page.get_by_role("button", name="Sign out")
    assert way_out.bounding_box()["y"] < brand.bounding_box()["y"] + brand.bounding_box()["height"], "two rows"
    check(someone)
    someone.page.get_by_role("link", name="Disconnect").click()
    someone.page.get_by_role("heading", name="Disconnect Google Health?").wait_for()
    check(someone)


def test_choosing_a_patient_and_consenting_is_for_everybody(signed_in, dora, app):
    someone = signed_in("bo")
    someone.open(app)
    someone.page.get_by_role("heading", name="Choose a patient").wait_for()
    check(someone)
    someone.page.get_by_label("Dora Example").check()
    someone.page.get_by_role("button", name="Continue").click()
    someone.page.get_by_role("heading", name="Allow app?").wait_for()
    check(someone)


@pytest.mark.parametrize("name", ["record", "worklist", "sign-in", "landing"])
def test_a_page_stays_whole_when_text_is_twice_as_large(signed_in, dora, name):
    who, path = PAGES[name]
    someone = signed_in(who, width=640)
    someone.open(path)
    someone.page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert someone.too_wide() <= 0


def test_the_language_of_the_browser_is_spoken(visitor, dora):
    someone = visitor(locale="de-DE")
    someone.sign_in(dora)
    page = someone.page
    assert page.locator("html").get_attribute("lang") == "de"
    expect(page.get_by_role("heading", name="Guten Tag, Dora Example")).to_be_visible()
    expect(page.get_by_role("heading", name="Ruhepuls")).to_be_visible()
    expect(page.get_by_text("Sauerstoffsättigung niedrig")).to_be_visible()
    expect(page.get_by_text("88 %").first).to_be_visible()
    check(someone)


def test_another_language_can_be_chosen_and_stays(visitor):
    someone = visitor()
    someone.open("/login?next=/")
    someone.page.get_by_role("link", name="Deutsch").click()
    expect(someone.page).to_have_url(re.compile("/login[?]next=/$"))
    expect(someone.page.get_by_label("Benutzername")).to_be_visible()
    someone.open("/")
    expect(someone.page.get_by_role("heading", name="Ihr Wearable")).to_be_visible()
    someone.page.get_by_role("link", name="English").click()
    expect(someone.page.get_by_role("heading", name="Your wearable")).to_be_visible()
