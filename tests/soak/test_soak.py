"""The soak runs, and would notice a leak."""

import json
import sys

import pytest

from fhir_facade.cli.threads import MOST
from tests.soak import run
from tests.soak.judge import ALONE, DESCRIPTORS, MEMORY, ROWS, THREADS, judge
from tests.soak.picture import picture

EVERY_S, SAMPLES = 5, 360


def series(value):
    """Half an hour of samples; `value` of the number of the sample."""
    return [(number * EVERY_S, value(number)) for number in range(SAMPLES)]


def uneven(number):
    """As memory goes up and down with what is under way."""
    return (number * 37 % 11) * 0.4


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        pytest.param(lambda number: 100 + number * EVERY_S * 50 * 150 / 2**20 + uneven(number), MEMORY, id="150 bytes of each answer"),
        pytest.param(lambda number: 40 + number // 20, DESCRIPTORS, id="a descriptor in a hundred seconds"),
        pytest.param(lambda number: 4 + number // 5, ROWS, id="rows that stay"),
        pytest.param(lambda number: MOST - 3 + number // 60, THREADS, id="a thread in five minutes"),
        pytest.param(lambda number: 1 + number // 300, ALONE, id="a thread of the process that watches"),
    ],
)  # fmt: skip
def test_a_leak_is_no_flat_line(value, bound):
    assert not judge("leaking", series(value), bound).flat


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda number: 120 + uneven(number), id="up and down"),
        pytest.param(lambda number: 150 - 50 * 0.97**number + uneven(number), id="caches that fill"),
        pytest.param(lambda number: 150 - number / 10, id="falling"),
    ],
)
def test_what_comes_and_goes_is_flat(value):
    assert judge("memory", series(value), MEMORY).flat


def test_a_pool_that_fills_late_is_flat():
    assert judge("threads", series(lambda number: min(MOST, 7 + number // 40)), THREADS).flat


def test_too_few_samples_are_no_verdict():
    with pytest.raises(ValueError, match="too few"):
        judge("memory", series(uneven)[:5], MEMORY)


def test_a_picture_has_a_line_for_each_process():
    drawn = picture("RssAnon", {"worker <1>": series(uneven), "worker 2": series(uneven)})

    assert drawn.count("<polyline") == 2
    assert "worker &lt;1&gt;" in drawn


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc of Linux")
def test_a_short_soak_visits_a_real_facade_and_is_judged(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run.main(["--minutes", "0.1", "--per-second", "20", "--every", "0.4", "--out", str(tmp_path)])

    said = capsys.readouterr().out
    assert "FAILED" not in said
    assert "worker 1: RssAnon" in said
    seen = json.loads((tmp_path / "soak.json").read_text())
    assert len(seen["rows: session"]) >= 8
    assert "<polyline" in (tmp_path / "soak.svg").read_text()
