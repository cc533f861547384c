"""The query of a URL: the same as the standard library's, only faster."""

from urllib.parse import parse_qsl, urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from fhir_facade.fhir.urls import LONGEST_KEPT, query_pairs, query_text

PAIRS = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5) | st.just("x é" * LONGEST_KEPT)), max_size=4)


@given(PAIRS, st.sampled_from(["", "|:,/$"]))
def test_parameters_become_the_same_text(pairs: list[tuple[str, str]], safe: str) -> None:
    encodable = [pair for pair in pairs if "".join(pair).isprintable()]

    assert query_text(encodable, safe) == urlencode(encodable, safe=safe)


@given(st.text(alphabet="ab=&+%2F7é;", max_size=12))
@example("a=1&&b&=c&d==e")
@example("%ff=%e9+%25")
def test_text_becomes_the_same_parameters(text: str) -> None:
    assert query_pairs(text) == parse_qsl(text, keep_blank_values=True)
