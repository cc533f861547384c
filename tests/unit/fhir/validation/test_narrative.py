"""What a narrative may hold; https://hl7.org/fhir/R4/narrative.html#xhtml."""

import pytest

from fhir_facade.fhir.validation.narrative import MAX_LEVELS, faults_of_content, faults_of_xhtml

XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">%s</div>'


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("text", id="text"),
        pytest.param('<p class="a" style="color: red" xml:lang="en">a &amp; b<br/>c</p>', id="paragraph"),
        pytest.param("<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>", id="table"),
        pytest.param('<img src="data:image/png;base64,AAAA" alt="x"/>', id="picture"),
        pytest.param('<a href="https://example.org/a:b">x</a><a name="here">y</a><a href="#here">z</a>', id="links"),
        pytest.param("<!-- note -->text", id="comment"),
        pytest.param("1&nbsp;&Uuml;&#160;&#xa0;&quot;&apos;", id="characters by name"),
        pytest.param('<p xmlns="http://www.w3.org/1999/xhtml">x</p>', id="the namespace again"),
        pytest.param('<img src="#a" alt="x"/>', id="a picture alone"),
        pytest.param("<b>" * (MAX_LEVELS - 1) + "x" + "</b>" * (MAX_LEVELS - 1), id="as deep as it may be"),
        pytest.param("<b>x</b>" * 2 * MAX_LEVELS, id="many beside each other"),
    ],
)
def test_plain_xhtml_is_allowed(content: str) -> None:
    narrative = {"div": XHTML % content}

    assert (faults_of_xhtml(narrative), faults_of_content(narrative)) == ((), ())


@pytest.mark.parametrize(
    "div",
    [
        pytest.param(XHTML % "<script>alert(1)</script>", id="script"),
        pytest.param(XHTML % '<p onclick="alert(1)">x</p>', id="event handler"),
        pytest.param(XHTML % '<a href="javascript:alert(1)">x</a>', id="javascript link"),
        pytest.param(XHTML % '<a href=" java\nscript:alert(1)">x</a>', id="javascript link in disguise"),
        pytest.param(XHTML % '<img src="data:text/html,x"/>', id="picture that is a page"),
        pytest.param(XHTML % '<iframe src="http://a"/>x', id="frame"),
        pytest.param(XHTML % "<form><input/></form>", id="form"),
        pytest.param(XHTML % "<p>x", id="element left open"),
        pytest.param(XHTML % "x<br>", id="break left open"),
        pytest.param(XHTML % ("<b>" * MAX_LEVELS + "x" + "</b>" * MAX_LEVELS), id="deeper than readers go"),
        pytest.param(XHTML % "<b><i>x</b></i>", id="crossed elements"),
        pytest.param(XHTML % "x</div><div>x", id="two roots"),
        pytest.param(XHTML % "<td nowrap>x</td>", id="attribute without value"),
        pytest.param(XHTML % "<![CDATA[x]]>", id="CDATA"),
        pytest.param(XHTML % "<?php x?>y", id="instruction"),
        pytest.param("<!DOCTYPE html>" + XHTML % "x", id="document type"),
        pytest.param(XHTML % "x" + "more", id="text after the end"),
        pytest.param(XHTML % "x" + "</div>", id="one end too many"),
        pytest.param(XHTML % "<P>x</P>", id="capital letters"),
        pytest.param(XHTML % "a & b", id="ampersand alone"),
        pytest.param(XHTML % "&unknown;", id="unknown character"),
        pytest.param(XHTML % "\ud800", id="half a character"),
        pytest.param(XHTML % "<p class=x>y</p>", id="attribute without quotes"),
        pytest.param(XHTML % '<p xmlns="urn:x">y</p>', id="another namespace inside"),
        pytest.param("<div>x</div>", id="no namespace"),
        pytest.param('<div xmlns="urn:x">x</div>', id="another namespace"),
        pytest.param('<div><p xmlns="http://www.w3.org/1999/xhtml">x</p></div>', id="a namespace too late"),
    ],
)
def test_what_acts_or_is_malformed_is_not_allowed(div: str) -> None:
    assert faults_of_xhtml({"div": div}) == (".div",)


@pytest.mark.parametrize("content", [" ", "&nbsp;", "<p><br/></p>", "<!-- note -->", '<a name="x"/>'])
def test_a_narrative_has_something_to_read(content: str) -> None:
    assert faults_of_content({"div": XHTML % content}) == (".div",)
    assert faults_of_xhtml({"div": XHTML % content}) == ()


@pytest.mark.parametrize("faults", [faults_of_content, faults_of_xhtml])
def test_a_narrative_without_text_may_say_why(faults) -> None:
    assert faults({"status": "empty", "_div": {"extension": []}}) == ()
