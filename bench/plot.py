"""Two small line charts as one SVG, written by hand: seconds and peak memory against millions of profiles.

Takes finished numbers. Needs no plotting library; the colours are readable on light and on dark pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, TOP = 380, 250, 60, 50
COLOURS = ("#d1495b", "#2e86ab", "#e09f3e", "#6a994e")
INK = "#888888"


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: a title, and per line its points (millions, value)."""

    title: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    limit: float | None = None


def draw(charts: Sequence[Chart], *, alt: str) -> str:
    """Write the charts side by side, with one legend."""
    across = len(charts) * (WIDTH + LEFT + 30)
    names = list(dict.fromkeys(name for chart in charts for name in chart.lines))
    body = [_legend(names)]
    for place, chart in enumerate(charts):
        body.append(_chart(chart, LEFT + place * (WIDTH + LEFT + 30), names))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {TOP + HEIGHT + 60}" role="img"'
        f' font-family="system-ui, sans-serif" font-size="12" fill="{INK}"><title>{escape(alt)}</title>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _legend(names: Sequence[str]) -> str:
    return "".join(
        f'<line x1="{LEFT + n * 130}" y1="16" x2="{LEFT + n * 130 + 22}" y2="16" stroke="{_colour(names, name)}" stroke-width="3"/>'
        f'<text x="{LEFT + n * 130 + 28}" y="20">{escape(name)}</text>'
        for n, name in enumerate(names)
    )


def _colour(names: Sequence[str], name: str) -> str:
    return COLOURS[list(names).index(name) % len(COLOURS)]


def _chart(chart: Chart, left: int, names: Sequence[str]) -> str:
    points = [point for line in chart.lines.values() for point in line]
    right = max(x for x, _ in points)
    step = _step(max([y for _, y in points] + ([chart.limit] if chart.limit else [])))
    top = step * 5

    def at(x: float, y: float) -> tuple[float, float]:
        return round(left + x / right * WIDTH, 1), round(TOP + HEIGHT - y / top * HEIGHT, 1)

    drawn = [f'<text x="{left}" y="{TOP - 10}" font-weight="bold">{escape(chart.title)}</text>']
    for n in range(6):
        x, y = at(0, n * step)
        drawn.append(f'<line x1="{x}" y1="{y}" x2="{x + WIDTH}" y2="{y}" stroke="{INK}" stroke-opacity="0.25"/>')
        drawn.append(f'<text x="{x - 6}" y="{y + 4}" text-anchor="end">{n * step:g}</text>')
    for millions in sorted({x for x, _ in points}):
        x, y = at(millions, 0)
        drawn.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle">{millions:g} M</text>')
    if chart.limit:
        x, y = at(0, chart.limit)
        drawn.append(f'<line x1="{x}" y1="{y}" x2="{x + WIDTH}" y2="{y}" stroke="{INK}" stroke-dasharray="5 4"/>')
    for name, line in chart.lines.items():
        places = [at(*point) for point in line]
        path = " ".join(f"{x},{y}" for x, y in places)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{_colour(names, name)}" stroke-width="2.5"/>')
        drawn += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{_colour(names, name)}"/>' for x, y in places]
    return "\n".join(drawn)


def _step(highest: float) -> float:
    """Choose the distance between lines, so that five of them reach the highest value and read well."""
    unit = 1.0
    while True:
        for step in (unit, 2 * unit, 2.5 * unit, 5 * unit):
            if step * 5 >= highest:
                return step
        unit *= 10
