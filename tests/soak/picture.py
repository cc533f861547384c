"""The memory of each process over time, as SVG. https://www.w3.org/TR/SVG2/"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from tests.soak.judge import Series

WIDTH, HEIGHT, EDGE, LEGEND = 900, 360, 50, 22
COLOURS = ("#1b6ca8", "#c1440e", "#3c7a3c", "#7a3c7a", "#8a6d1d")


def picture(title: str, lines: Mapping[str, Series]) -> str:
    """Both axes begin at nought."""
    longest = max(at for series in lines.values() for at, _ in series) or 1.0
    highest = max(value for series in lines.values() for _, value in series) * 1.1 or 1.0
    drawn = "".join(
        _line(name, series, colour, number, longest, highest)
        for number, ((name, series), colour) in enumerate(zip(lines.items(), COLOURS * len(lines), strict=False))
    )
    marks = "".join(_mark(share, longest, highest) for share in (0, 0.25, 0.5, 0.75, 1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + LEGEND * (len(lines) + 1)}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="{EDGE}" y="20" font-size="15">{escape(title)}</text>{marks}{drawn}</svg>\n'
    )


def _x(share: float) -> float:
    return round(EDGE + share * (WIDTH - 2 * EDGE), 1)


def _y(share: float) -> float:
    return round(HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE), 1)


def _line(name: str, series: Series, colour: str, number: int, longest: float, highest: float) -> str:
    points = " ".join(f"{_x(at / longest)},{_y(value / highest)}" for at, value in series)
    below = HEIGHT + LEGEND * number
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<rect x="{EDGE}" y="{below - 10}" width="12" height="12" fill="{colour}"/>'
        f'<text x="{EDGE + 20}" y="{below}">{escape(name)}</text>'
    )


def _mark(share: float, longest: float, highest: float) -> str:
    return (
        f'<line x1="{_x(0)}" x2="{_x(1)}" y1="{_y(share)}" y2="{_y(share)}" stroke="#ddd"/>'
        f'<text x="{EDGE - 6}" y="{_y(share) + 4}" text-anchor="end">{share * highest:.0f}</text>'
        f'<text x="{_x(share)}" y="{HEIGHT - EDGE + 18}" text-anchor="middle">{share * longest / 60:.1f} min</text>'
    )
