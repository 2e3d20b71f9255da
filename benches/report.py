"""The results of a part of the benchmark: measurements, ratios, and Markdown for readers."""

import statistics


class Report:
    """The results of one part."""

    def __init__(self):
        self.lines, self.measurements, self.comparisons = [], [], []

    def title(self, text):
        self.lines += [f"\n## {text}\n"]

    def say(self, text):
        self.lines += [text, ""]

    def table(self, heads, rows):
        self.lines.append("| " + " | ".join(heads) + " |")
        self.lines.append("| --- |" + " ---: |" * (len(heads) - 1))
        self.lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
        self.lines.append("")

    def measured(self, name, unit, values):
        """Records the values of several rounds. Returns their median."""
        self.measurements.append({"name": name, "unit": unit, **spread(values)})
        return statistics.median(values)

    def compared(self, name, ours, theirs):
        """Records the ratio in each round, so a disturbance that affects both in a round cancels out."""
        self.comparisons.append({"name": name, **spread([one / other for one, other in zip(ours, theirs)])})

    def take(self, other):
        self.lines += other.lines
        self.measurements += other.measurements
        self.comparisons += other.comparisons


def spread(values):
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def amount(value):
    """Formats a number with about three significant digits, and separators of thousands."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def between(values):
    """Formats the median of values, followed by the lowest and the highest."""
    return f"{amount(statistics.median(values))} ({amount(min(values))} to {amount(max(values))})"
