"""Writes the charts in docs/performance.md as SVG, without a library: the cost of a page, and its cost by depth.

Both charts have logarithmic scales, because the values differ by orders of magnitude. So they use points and lines, not
bars.
"""

import math

from machine import ROOT, WORK

# The folder of the committed charts, and the folder for the charts of a quick run.
COMMITTED, QUICK = ROOT / "benches" / "charts", WORK / "charts"
INK, MUTED, GRID = "#1f2933", "#64707d", "#e3e7eb"
OURS, OTHERS = "#c2410c", "#5b7083"
LINES = {"direct": "#5b7083", "offset": "#8b6fb3", "keyset": "#c2410c", "seek": "#0f766e", "seek-cold": "#2f6fb0"}
SIZE_TITLES = {"5k": "5 KB, 20 items", "100k": "100 KB, 100 items", "1m": "1 MB, 1,000 items"}
ROWS = {
    "nginx": "nginx, passing through",
    "bare-pingora": "bare Pingora, passing through",
    "forward": "cursorgate, passing through",
    "standard": "cursorgate, standard",
    "page-info": "cursorgate, page-info",
    "relay": "cursorgate, relay",
    "nginx-lua": "nginx + Lua + cjson",
    "express": "Express",
}
OUR_ROWS = ("forward", "standard", "page-info", "relay")


class Drawing:
    def __init__(self, width, height, title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="12">',
            f"<title>{escaped(title)}</title>",
            f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>',
        ]
        self.text(20, 28, title, size=15, weight=600)

    def text(self, x, y, words, anchor="start", colour=INK, size=12, weight=400):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}" '
            f'font-weight="{weight}">{escaped(words)}</text>'
        )

    def line(self, x1, y1, x2, y2, colour=GRID, width=1.0):
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
        )

    def path(self, points, colour):
        said = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{said}" fill="none" stroke="{colour}" stroke-width="2"/>')

    def dot(self, x, y, colour, radius=4.5):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def write(self, name, quick):
        folder = QUICK if quick else COMMITTED
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join([*self.parts, "</svg>"]) + "\n")


def escaped(words):
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def rounded(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


class Scale:
    """A logarithmic scale, which maps values to positions in the drawing."""

    def __init__(self, values, begin, end):
        self.low, self.high = math.log10(min(values)), math.log10(max(values))
        self.begin, self.end = begin, end

    def __call__(self, value):
        share = (math.log10(value) - self.low) / max(self.high - self.low, 1e-9)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        """Returns the powers of ten within the scale, or 1, 2 and 5 times each if that is fewer than two ticks."""
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        for steps in ((1,), (1, 2, 5)):
            ticks = [step * 10**power for power in powers for step in steps]
            within = [tick for tick in ticks if self.low - 1e-9 <= math.log10(tick) <= self.high + 1e-9]
            if len(within) > 1:
                return within
        return within


def cost(medians, quick):
    """Draws the cost of a page. `medians` maps size -> peer -> CPU microseconds per request."""
    sizes = list(medians)
    shown = {name: label for name, label in ROWS.items() if any(name in values for values in medians.values())}
    left, top, row, panel, gap = 226, 78, 26, 210, 26
    width = left + len(sizes) * (panel + gap) + 10
    height = top + row * len(shown) + 46
    drawing = Drawing(width, height, "CPU time of the proxy for a page, in microseconds (logarithmic scale; less is better)")
    bottom = top + row * len(shown)
    for index, (name, label) in enumerate(shown.items()):
        ours = name in OUR_ROWS
        y = top + row * (index + 0.5) + 4
        drawing.text(left - 14, y, label, "end", INK if ours else MUTED, weight=600 if ours else 400)
    for place, size in enumerate(sizes):
        begin = left + place * (panel + gap)
        values = medians[size]
        scale = Scale([min(values.values()) / 1.4, max(values.values()) * 2.2], begin, begin + panel)
        drawing.text(begin, top - 16, SIZE_TITLES[size], weight=600)
        for tick in scale.ticks():
            drawing.line(scale(tick), top, scale(tick), bottom)
            drawing.text(scale(tick), bottom + 18, f"{tick:,.0f}", "middle", MUTED, 11)
        for index, name in enumerate(shown):
            y = top + row * (index + 0.5)
            drawing.line(begin, y, begin + panel, y)
            if name in values:
                colour = OURS if name in OUR_ROWS else OTHERS
                drawing.dot(scale(values[name]), y, colour)
                drawing.text(scale(values[name]) + 8, y + 4, rounded(values[name]), colour=colour, size=11)
    drawing.write("cost.svg", quick)


def depth(medians, names, rows, quick):
    """Draws the cost by depth. `medians` maps way -> page -> milliseconds, and `names` maps each way to its label."""
    left, top, right, bottom = 70, 60, 560, 350
    drawing = Drawing(800, 405, f"Latency of a page of 100 by its depth in a table of {rows:,} rows (logarithmic scales)")
    latencies = [value for pages in medians.values() for value in pages.values()]
    pages = sorted({page for pages in medians.values() for page in pages})
    across = Scale(pages, left, right)
    up = Scale([min(latencies) / 1.3, max(latencies) * 1.3], bottom, top)
    for tick in up.ticks():
        drawing.line(left, up(tick), right, up(tick))
        drawing.text(left - 10, up(tick) + 4, f"{tick:g} ms", "end", MUTED, 11)
    for page in pages:
        drawing.line(across(page), top, across(page), bottom)
        drawing.text(across(page), bottom + 20, f"{page:,}", "middle", MUTED, 11)
    drawing.text((left + right) / 2, bottom + 42, "page", "middle", MUTED)
    # Labels are at the ends of their lines, at least the height of a line of text apart.
    ends = sorted((up(medians[way][pages[-1]]), way) for way in medians)
    last = -math.inf
    for y, way in ends:
        colour = LINES[way]
        drawing.path([(across(page), up(value)) for page, value in sorted(medians[way].items())], colour)
        for page, value in medians[way].items():
            drawing.dot(across(page), up(value), colour, 3.5)
        last = max(y, last + 16)
        value = medians[way][pages[-1]]
        drawing.text(right + 12, last + 4, f"{names[way]}: {rounded(value)} ms", colour=colour, weight=600)
    drawing.write("depth.svg", quick)
