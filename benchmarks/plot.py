"""The ratios of a run as bars in an SVG: the gateway's requests per second, the yardstick's being 1."""

from __future__ import annotations

from html import escape

from benchmarks.figures import Ratio, Rows
from benchmarks.tables import ratio_to

COLOURS = {"bare_tango": "#8a9ba8", "fastapi": "#2f81c1", "before": "#c17a2f"}
_WIDTH, _LEFT, _RIGHT, _BAR, _TOP = 900, 360, 60, 14, 50


def draw(rows: Rows, caption: str) -> str:
    """A group of bars for each load, with a line for the least and the largest ratio of a round."""
    groups: dict[str, list[tuple[str, Ratio]]] = {}
    for row in rows.all:
        ratio = ratio_to(rows, row, lambda r: r.per_second)
        if ratio and row.contestant in COLOURS:
            label = f"{row.link}: {row.title}, {row.connections} connection{'s' * (row.connections > 1)}"
            groups.setdefault(label, []).append((row.contestant, ratio))
    longest = max([1.0, *(ratio.high for bars in groups.values() for _, ratio in bars)])
    scale = (_WIDTH - _LEFT - _RIGHT) / longest
    parts, y = [], _TOP
    for label, bars in groups.items():
        middle = y + _BAR * len(bars) / 2 + 4
        parts.append(f'<text x="{_LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>')
        for name, ratio in bars:
            parts.append(_bar(y, ratio, scale, COLOURS[name]))
            y += _BAR
        y += _BAR // 2
    one = _LEFT + scale
    parts.append(f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{_TOP - 4}" y2="{y}" stroke="black" stroke-dasharray="3"/>')
    shown = [name for name in COLOURS if any(name == who for bars in groups.values() for who, _ in bars)]
    for number, name in enumerate(shown):
        parts.append(f'<text x="{_LEFT + 100 * number}" y="40" fill="{COLOURS[name]}">to {name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 10}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="8" y="18">Requests per second of the gateway, as ratios. {escape(caption)}</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _bar(y: int, ratio: Ratio, scale: float, colour: str) -> str:
    middle, low, high = y + _BAR / 2 - 1, _LEFT + ratio.low * scale, _LEFT + ratio.high * scale
    return (
        f'<rect x="{_LEFT}" y="{y}" width="{ratio.median * scale:.1f}" height="{_BAR - 2}" fill="{colour}"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="black"/>'
        f'<text x="{high + 4:.1f}" y="{y + _BAR - 3}" font-size="10">{ratio.median:.2f}</text>'
    )
