"""Without a mouse: signing in, choosing, deciding, taking back, and what administrators do. Each page on the way is
looked at by axe-core, and everything that is pressed has a name that a screen reader says."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OXYGEN, PASSWORD
from tests.browser.test_reading_by_all import CHALLENGE, SCOPE, VERIFIER, check
from tests.patience import PATIENCE_S

BACK = "/back-to-the-app"
NAMELESS = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, summary")]
  .filter((each) => each.checkVisibility())
  .filter((each) => ![each.ariaLabel, each.innerText, ...[...(each.labels || [])].map((one) => one.innerText)]
    .some((text) => text && text.trim()))
  .map((each) => each.outerHTML)"""


def look(someone):
    """The page is for everybody, and nothing on it is without a name."""
    assert someone.page.evaluate(NAMELESS) == []
    check(someone)
    someone.page.set_viewport_size({"width": 1280, "height": 900})


def enter(someone, name, password=PASSWORD):
    """Sign in on the page that is open: its first field has the focus already."""
    keyboard = someone.page.keyboard
    someone.page.locator("#username:focus").wait_for()
    keyboard.type(name)
    keyboard.press("Tab")
    keyboard.type(password)
    keyboard.press("Enter")


def press(someone, name, key="Enter"):
    someone.tab_to(name)
    someone.page.keyboard.press(key)


def heading(someone, name):
    someone.page.get_by_role("heading", name=name, level=1).wait_for()


@pytest.fixture(scope="module")
def app(world):
    """The address at which an app begins to ask for access; it is answered at an address where nobody is."""
    redirect = f"{world.url}{BACK}"
    options = ("--type", "public", "--redirect-uri", redirect, "--scope", SCOPE)
    world.server.command("client", "add", "--client-id", "walked", *options)
    asked = {
        "response_type": "code",
        "client_id": "walked",
        "redirect_uri": redirect,
        "scope": SCOPE,
        "state": "a state",
        "aud": f"{world.url}/fhir",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"/oauth/authorize?{urlencode(asked)}"


def answer(someone):
    """What the app is told."""
    someone.page.wait_for_url(re.compile(BACK))
    return {name: values[0] for name, values in parse_qs(urlsplit(someone.page.url).query).items()}


def test_a_patient_unticks_what_an_app_may_do_agrees_sees_it_and_takes_it_back(visitor, world, app):
    someone = visitor()
    someone.open(app)
    heading(someone, "Sign in")
    enter(someone, "ann")

    heading(someone, "Allow walked?")
    look(someone)
    press(someone, "See: measurements", "Space")
    press(someone, "Do not allow", "Tab")  # and on to the other one
    someone.page.keyboard.press("Enter")
    asked = {
        "grant_type": "authorization_code",
        "code": answer(someone)["code"],
        "redirect_uri": f"{world.url}{BACK}",
        "client_id": "walked",
        "code_verifier": VERIFIER,
    }
    given = httpx.post(f"{world.url}/oauth/token", data=asked, timeout=PATIENCE_S).json()
    assert "patient/Patient.rs" in given["scope"]
    assert "patient/Observation.rs" not in given["scope"]

    someone.open("/")
    press(someone, "My apps")
    heading(someone, "My apps")
    expect(someone.page.get_by_text("See: name, address and other personal details in your record")).to_be_visible()
    look(someone)
    press(someone, "Withdraw")
    someone.page.get_by_role("status").get_by_text("The permission is withdrawn.").wait_for()
    expect(someone.page.get_by_text("No app has access through you.")).to_be_visible()


def test_refusing_is_the_first_button_and_what_enter_on_a_tick_box_means(visitor, app):
    someone = visitor()
    someone.open(app)
    enter(someone, "ann")
    heading(someone, "Allow walked?")
    sizes = [
        someone.page.get_by_role("button", name=name, exact=True).bounding_box() for name in ("Do not allow", "Allow")
    ]
    assert sizes[0]["width"] == pytest.approx(sizes[1]["width"])
    assert sizes[0]["height"] == pytest.approx(sizes[1]["height"])
    press(someone, "See: measurements")
    assert answer(someone)["error"] == "access_denied"


def test_somebody_who_acts_for_another_chooses_for_whom(visitor, world, app):
    person = {"resourceType": "RelatedPerson", "id": "eve", "active": True, "patient": {"reference": "Patient/carl"}}
    world.put(person)
    world.account("eve", "proxy", "--related-person", "eve")
    someone = visitor()
    someone.open(app)
    enter(someone, "eve")
    heading(someone, "For whom do you act?")
    look(someone)
    press(someone, "Carl Example", "Space")
    press(someone, "Continue")
    heading(someone, "Allow walked?")
    expect(someone.page.get_by_text("The app will work with the record of Carl Example.")).to_be_visible()


def test_a_practitioner_chooses_a_patient(visitor, app):
    someone = visitor()
    someone.open(app)
    enter(someone, "bo")
    heading(someone, "Choose a patient")
    press(someone, "Ann Example", "ArrowDown")  # a radio button: the arrow takes the next one
    press(someone, "Continue")
    heading(someone, "Allow walked?")
    expect(someone.page.get_by_text("The app will work with the record of Carl Example.")).to_be_visible()


def test_a_new_device_is_known_from_now_on_another_is_signed_out_and_an_address_given(visitor, world):
    world.put({"resourceType": "Patient", "id": "dan", "name": [{"text": "Dan Example"}]})
    world.account("dan", "patient", "--patient", "dan")  # who has never signed in: his first device is no news
    first, second = visitor(), visitor()
    first.sign_in("dan")
    second.sign_in("dan")
    first.open("/")
    press(first, "See your sign-ins")
    heading(first, "Sign-ins")
    press(first, "That was me")
    first.page.get_by_text("The device is known from now on.").wait_for()
    press(first, "Sign out everywhere else")
    first.page.get_by_text("Signed out there.").wait_for()
    second.open("/sign-ins")
    expect(second.page).to_have_url(re.compile("/login"))
    first.tab_to("E-mail address")
    first.page.keyboard.type("dan@home.example")
    first.tab_to("Present password")
    first.page.keyboard.type(PASSWORD)
    first.page.keyboard.press("Enter")
    first.page.get_by_text("Notices go to this address from now on.").wait_for()


def test_who_looked_is_reached_and_turned_over(visitor, world):
    for value in (97, 98):
        world.reading("ann", OXYGEN, value, "%")
    someone = visitor()
    someone.open("/login")
    enter(someone, "ann")
    heading(someone, "Hello, Ann Example")
    press(someone, "Who looked at my data")
    heading(someone, "Who looked at my data")
    press(someone, "Your record")
    heading(someone, "Hello, Ann Example")


def test_an_administrator_makes_an_account_whose_owner_chooses_the_password(visitor):
    root, owner = visitor(), visitor()
    root.open("/login")
    enter(root, "root")
    heading(root, "Administration")
    press(root, "New account")
    heading(root, "New account")
    press(root, "practitioner")
    root.page.wait_for_url(re.compile("role=practitioner"))
    for field, text in (("User name", "nina"), ("Given names", "Nina"), ("Family name", "Nord")):
        root.tab_to(field)
        root.page.keyboard.type(text)
    root.page.keyboard.press("Enter")
    heading(root, "nina")
    look(root)
    link = root.page.get_by_role("region", name="The link, shown only now").locator("code").inner_text()

    owner.page.goto(link)
    look(owner)
    owner.page.reload()
    owner.page.wait_for_function("document.activeElement.tagName === 'INPUT'")  # a moment after the page has loaded
    owner.page.keyboard.type(PASSWORD)
    owner.page.keyboard.press("Tab")
    owner.page.keyboard.type(PASSWORD)
    owner.page.keyboard.press("Enter")
    heading(owner, "Sign in")
    enter(owner, "nina")
    heading(owner, "Worklist")

    press(root, "Disable the account")
    root.page.get_by_text("The account is disabled.").wait_for()
    owner.page.reload()
    expect(owner.page.get_by_text("Worklist")).to_have_count(0)
    press(root, "Accounts")
    heading(root, "Accounts")
    root.tab_to("User name or id of a record")
    root.page.keyboard.type("nin")
    root.page.keyboard.press("Enter")
    root.page.wait_for_url(re.compile("text=nin"))
    press(root, "nina")
    heading(root, "nina")
    press(root, "Enable the account")
    root.page.get_by_text("The account is enabled.").wait_for()


def test_an_administrator_registers_an_app_and_renews_its_secret(visitor):
    root = visitor()
    root.open("/login")
    enter(root, "root")
    heading(root, "Administration")
    press(root, "Register an app")
    heading(root, "Register an app")
    press(root, "confidential")
    root.page.wait_for_url(re.compile("kind=confidential"))
    for field, text in (
        ("Client id", "growth"),
        ("Name people see", "Growth"),
        ("Redirect addresses", "https://growth.example/callback"),
    ):
        root.tab_to(field)
        root.page.keyboard.type(text)
    press(root, "Register")
    heading(root, "Growth")
    look(root)
    shown = root.page.get_by_role("region", name="The secret, shown only now").locator("code")
    first = shown.inner_text()
    press(root, "Make a new secret")
    root.page.wait_for_url(re.compile("/secret$"))
    expect(shown).not_to_have_text(first)
    expect(shown).not_to_be_empty()
    press(root, "Disable the app")
    root.page.get_by_text("The app is disabled").wait_for()
    press(root, "Apps of this service")
    heading(root, "Apps of this service")
