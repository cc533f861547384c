"""The story of the product by hand: sign in, connect, consent, see readings, score and alert, disconnect."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ALEX, OXYGEN, PASSWORD, SYNC_MS, connect, disconnect

MOST_LOOKS = 100
STREAM = re.compile("/alerts/stream")
TURN_AWAY = """(away) => {
  Object.defineProperty(document, "hidden", { configurable: true, value: away });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def see_what_it_means(page):
    """Readings, score and the alert that a threshold raised, on the page of the patient. The score is written a moment
    after the readings."""
    for _ in range(MOST_LOOKS):
        if page.get_by_text("Preliminary: 2 of 8 parts are known").is_visible():
            break
        page.reload()
    expect(page.get_by_role("img", name=re.compile("Steps: .* from 2[0-9] readings"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Score: [0-9]+ of 100"))).to_be_visible()
    expect(page.get_by_text("Preliminary: 2 of 8 parts are known")).to_be_visible()
    alert = page.get_by_role("listitem").filter(has_text="Oxygen saturation low").first
    expect(alert.get_by_text("89.6 %")).to_be_visible()
    expect(alert.get_by_text("New")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)


def test_a_patient_connects_a_wearable_sees_what_it_means_and_disconnects(visitor):
    ann = visitor()
    page = ann.page
    ann.open("/")
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    page.get_by_label("User name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Hello, Ann Example").wait_for()

    connect(ann, ALEX)
    page.wait_for_url(f"{ann.url}/", timeout=SYNC_MS)
    see_what_it_means(page)

    table = page.locator("#steps details")
    table.get_by_text("Show as a table").click()
    expect(table.get_by_role("row").nth(20)).to_be_visible()

    page.get_by_role("link", name="90 days").click()
    expect(page.get_by_role("img", name=re.compile("Steps: .* from 8[0-9] readings"))).to_be_visible()

    disconnect(ann)
    expect(page.get_by_text("Everything that was read stays in your record")).to_be_visible()
    expect(page.get_by_role("button", name="Connect Google Health")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Steps"))).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Your wearable")).to_be_visible()
    ann.open("/connections/any")
    expect(page).to_have_url(re.compile(f"^{re.escape(ann.url)}/login[?]next="))
    assert ann.complaints == []


def test_the_whole_story_needs_no_script(visitor):
    carl = visitor(java_script_enabled=False)
    page = carl.page
    carl.sign_in("carl")
    connect(carl, ALEX)
    while not page.get_by_role("link", name="See my readings").is_visible():
        button = page.get_by_role("button", name="Read my data now").or_(page.get_by_role("link", name="Look again"))
        with page.expect_navigation(timeout=SYNC_MS):
            button.click(timeout=SYNC_MS)
        if re.search(r"\?done=read$", page.url):
            break
    carl.open("/")
    see_what_it_means(page)
    disconnect(carl)


def test_the_whole_story_by_the_keyboard_alone(visitor):
    ann = visitor()
    page, press = ann.page, ann.page.keyboard.press
    ann.open("/")
    press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_visible()
    ann.tab_to("Sign in")
    press("Enter")
    page.wait_for_url(re.compile("/login"))
    page.locator("#username:focus").wait_for()
    page.keyboard.type("ann")
    ann.tab_to("Password")
    page.keyboard.type(PASSWORD)
    press("Enter")
    page.wait_for_url(f"{ann.url}/")

    ann.tab_to("Connect Google Health")
    press("Enter")
    page.wait_for_url(re.compile("/o/oauth2/"))
    ann.tab_to("Alex Winter")
    press("Enter")
    page.get_by_role("heading", name="Allow access").wait_for()
    ann.tab_to("Continue")
    press("Enter")
    page.wait_for_url(f"{ann.url}/", timeout=SYNC_MS)

    ann.tab_to("How this was calculated")
    press("Enter")
    expect(page.get_by_text("Calculated from 2 of 8 parts")).to_be_visible()
    ann.tab_to("Steps")
    press("Enter")
    expect(page).to_have_url(re.compile("#steps$"))
    ann.tab_to("Show as a table")
    press("Enter")
    expect(page.locator("#steps").get_by_role("table")).to_be_visible()

    ann.open("/")
    ann.tab_to("Disconnect")
    press("Enter")
    page.wait_for_url(re.compile("/disconnect$"))
    ann.tab_to("Disconnect")
    press("Enter")
    page.wait_for_url(f"{ann.url}/?done=disconnected")
    assert ann.complaints == []


def test_a_practitioner_is_told_of_an_alert_and_takes_it_over(visitor, world, dora):
    bo, patient = visitor(), visitor()

    def after_the_page_was_made(route):
        world.reading(dora, "8867-4", 140, "/min")
        route.continue_()

    bo.page.route(STREAM, after_the_page_was_made, times=1)
    bo.sign_in("bo")
    news = bo.page.get_by_role("status").get_by_role("link", name="Show it")
    news.click()

    alert = bo.page.get_by_role("listitem").filter(has_text="Heart rate very high").filter(has_text="Dora Example")
    expect(alert.get_by_text("140 per min")).to_be_visible()
    alert.get_by_role("button", name="Acknowledge").click()
    expect(bo.page.get_by_text("The alert is acknowledged.")).to_be_visible()
    expect(alert.get_by_text("seen by Dr. Bo Berg")).to_be_visible()
    expect(alert.get_by_role("button", name="Acknowledge")).to_have_count(0)

    patient.sign_in(dora)
    seen = patient.page.get_by_role("listitem").filter(has_text="Heart rate very high")
    expect(seen.get_by_text("Acknowledged")).to_be_visible()
    expect(seen.get_by_text("seen by Dr. Bo Berg")).to_be_visible()
    expect(seen.get_by_role("button")).to_have_count(0)

    alert.get_by_role("link", name="Dora Example").click()
    bo.page.get_by_role("heading", name="Dora Example", level=1).wait_for()
    expect(bo.page.get_by_role("button", name="Sync now")).to_have_count(0)
    bo.page.get_by_role("listitem").filter(has_text="Heart rate very high").get_by_role(
        "button", name="Resolve"
    ).click()
    bo.page.get_by_text("The alert is resolved.").wait_for()
    expect(bo.page.get_by_role("listitem").filter(has_text="Heart rate very high")).to_have_count(0)
    assert bo.complaints == []


def test_a_practitioner_reads_one_time_of_an_alert_everywhere_and_whose_clock_readings_have(visitor, dora):
    """The wearable of Dora has been to New York; the account of her doctor has not."""
    bo, patient = visitor(), visitor()
    bo.sign_in("bo")
    alert = bo.page.get_by_role("listitem").filter(has_text="Oxygen saturation low").filter(has_text="Dora Example")
    raised = re.search("raised .*, [0-9]{2}:[0-9]{2}", alert.first.inner_text())
    bo.open("/patients/dora")
    patient.sign_in(dora)

    assert raised is not None
    expect(bo.page.get_by_text(raised[0]).first).to_be_visible()
    expect(bo.page.get_by_text("Readings are shown by the patient’s clock: America/")).to_be_visible()
    expect(patient.page.get_by_text("Times on this page are those of your wearable’s clock: America/")).to_be_visible()


def test_a_patient_and_who_has_the_record_open_are_told_of_an_alert(visitor, world, dora):
    carl, bo, other = visitor(), visitor(), visitor()

    def after_the_page_was_made(route):
        world.reading("carl", "9279-1", 30, "/min")
        route.continue_()

    for each, name, path in ((other, "bo", "/patients/ann"), (bo, "bo", "/patients/carl")):
        each.sign_in(name)
        with each.page.expect_response(STREAM):
            each.open(path)
    carl.page.route(STREAM, after_the_page_was_made, times=1)
    carl.sign_in("carl")

    for each in (carl, bo):
        each.page.get_by_role("status").get_by_role("link", name="Show it").click()
        each.page.get_by_role("listitem").filter(has_text="Respiratory rate high").first.wait_for()
    expect(other.page.get_by_role("status").get_by_role("link")).to_have_count(0)
    assert [*carl.complaints, *bo.complaints, *other.complaints] == []


def test_a_page_in_the_background_holds_no_connection_and_tells_later_what_came(visitor, world, dora):
    bo = visitor()
    with bo.page.expect_response(STREAM):
        bo.sign_in("bo")
    with bo.page.expect_event("requestfailed", lambda request: STREAM.search(request.url)):
        bo.page.evaluate(TURN_AWAY, True)
    world.reading(dora, "8310-5", 41, "Cel")
    expect(bo.page.get_by_role("status").get_by_role("link")).to_have_count(0)
    bo.page.evaluate(TURN_AWAY, False)
    bo.page.get_by_role("status").get_by_role("link", name="Show it").wait_for()
    assert bo.complaints == []


def test_nobody_overrules_a_faster_colleague(visitor, world, dora):
    world.reading(dora, "9279-1", 30, "/min")
    bo, colleague = visitor(), visitor()
    for each in (bo, colleague):
        each.sign_in("bo")
    for each in (colleague, bo):
        alert = each.page.get_by_role("listitem").filter(has_text="Respiratory rate high").filter(has_text="Dora")
        alert.get_by_role("button", name="False alarm" if each is colleague else "Acknowledge").click()

    expect(bo.page.get_by_role("heading", name="Somebody was faster")).to_be_visible()
    bo.page.get_by_role("link", name="To the start page").click()
    bo.page.get_by_role("heading", name="Worklist", level=1).wait_for()
    of_dora = bo.page.get_by_role("listitem").filter(has_text="Respiratory rate high").filter(has_text="Dora")
    expect(of_dora).to_have_count(0)


@pytest.mark.parametrize(("name", "path"), [("bo", "/patients/stranger"), ("ann", "/patients/dora")])
def test_a_record_that_is_not_yours_is_a_page_that_is_not_here(visitor, world, name, path):
    world.put({"resourceType": "Patient", "id": "stranger", "name": [{"text": "Nadia Nobody"}]})
    someone = visitor()
    someone.sign_in(name)
    someone.open(path)
    expect(someone.page.get_by_role("heading", name="This page is not here")).to_be_visible()
    expect(someone.page.get_by_text("Nadia Nobody")).to_have_count(0)


def test_a_form_of_a_page_from_before_the_sign_in_tells_the_way_out(visitor):
    ann = visitor()
    ann.sign_in("ann")
    ann.page.evaluate("document.querySelectorAll('[name=csrf]').forEach((field) => (field.value = 'other'))")
    ann.page.get_by_role("button", name="Connect Google Health").click()
    expect(ann.page.get_by_role("heading", name="Please try that again")).to_be_visible()


def test_after_the_session_has_ended_a_form_leads_to_the_sign_in(visitor):
    ann = visitor()
    ann.sign_in("ann")
    ann.page.context.clear_cookies()
    ann.page.get_by_role("button", name="Connect Google Health").click()
    expect(ann.page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    ann.page.get_by_role("main").get_by_role("link", name="Sign in").click()
    expect(ann.page.get_by_label("User name")).to_be_visible()


def test_a_reading_that_came_by_itself_raises_an_alert_on_the_page(visitor, world):
    world.reading("carl", OXYGEN, 85, "%")
    carl = visitor()
    carl.sign_in("carl")
    expect(carl.page.get_by_role("listitem").filter(has_text="85 %").first).to_be_visible()
