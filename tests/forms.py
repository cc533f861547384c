"""Reads forms out of pages and sends them as a browser would."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    """A form of a page: where it goes, its named values in order, its labels' texts."""

    action: str
    values: list = field(default_factory=list)

    def fields(self, **changes):
        """What is sent: unticked boxes and other buttons left out; a change to None leaves a field out."""
        kept = [(name, value) for name, value in self.values if name not in changes]
        for name, value in changes.items():
            values = value if isinstance(value, list) else [value]
            kept += [(name, one) for one in values if one is not None]
        return {name: [value for key, value in kept if key == name] for name, _ in kept}


class FormReader(HTMLParser):
    """Collects the forms of a page that post; radio buttons are sent by choosing, boxes when they are ticked, of a list
    what is selected."""

    def __init__(self, html):
        super().__init__()
        self.forms = []
        self._form = None
        self._list = None
        self._text = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self._form = Form(given.get("action", ""))
            if given["method"] == "post":
                self.forms.append(self._form)
        elif tag == "select":
            self._list = given["name"]
        elif tag == "option" and "selected" in given:
            self._form.values.append((self._list, given["value"]))
        elif tag == "textarea":
            self._text = (given["name"], [])
        elif tag == "input":
            self._input(given)

    def _input(self, given):
        if "name" not in given or given.get("type") == "radio":
            return
        if given.get("type") != "checkbox" or "checked" in given:
            self._form.values.append((given["name"], given.get("value", "")))

    def handle_data(self, data):
        if self._text is not None:
            self._text[1].append(data)

    def handle_endtag(self, tag):
        if tag == "textarea":
            name, parts = self._text
            self._form.values.append((name, "".join(parts)))
            self._text = None


def form_of(response, action):
    """The form of a page that goes to `action`."""
    (found,) = [form for form in FormReader(response.text).forms if form.action == action]
    return found


async def submit(client, response, action, **changes):
    """Fill in and send the form of a page."""
    return await client.post(action, data=form_of(response, action).fields(**changes))


async def sign_in(client, page, username, password):
    """Sign in on a page that shows the sign-in form; the answer of the POST."""
    return await submit(client, page, "/login", username=username, password=password)


async def follow(client, response):
    """Follow one redirect of our own."""
    assert response.status_code == 303, response.text
    return await client.get(response.headers["location"])
