"""The single steps of a page, each measured alone: reads the output of `cargo bench --bench micro` for the report."""

import os
import re
import subprocess

from machine import ROOT
from report import Report

UNITS = {"ps": 1e-3, "ns": 1.0, "\u00b5s": 1e3, "ms": 1e6, "s": 1e9}
# The names of the benchmarks in the table. Each benchmark needs a line here.
NAMES = {
    "slice": "slicing an answer",
    "prove": "from an answer to the page that it proves",
    "envelope_of_100_items": "the body of 98 items",
    "response": "the whole response",
    "cursor_sign": "signing a cursor",
    "cursor_verify": "verifying a cursor",
    "cursor_of_an_item": "the cursor of an item",
    "route_match": "finding the route, of 200",
    "snapshot_pin": "taking the configuration's snapshot",
    "snapshot_load": "reading and compiling a configuration",
}


def run(plan):
    # The variable can name a benchmark that is already built. Without it, cargo builds the benchmark.
    built = os.environ.get("MICRO_BENCH_BIN")
    command = [built, "--bench"] if built else ["cargo", "bench", "--quiet", "--locked", "--bench", "micro", "--"]
    limits = ["--skip-ext-time", "true", "--max-time", "0.3" if plan.quick else "2"]
    said = subprocess.run([*command, *limits, "--color", "never"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return reported(read(said.stdout))


def read(said):
    """Returns a map from (name, argument or None) to columns of nanoseconds (fastest, slowest, median) and, if the
    benchmark counts bytes, the throughput at the median."""
    found, group, last = {}, None, None
    for line in said.splitlines():
        inner = re.match(r"^(\u2502  |   )(?:\u251c\u2500 |\u2570\u2500 )(\S+)(.*)$", line)
        outer = re.match(r"^(?:\u251c\u2500 |\u2570\u2500 )(\S+)(.*)$", line)
        if inner or outer:
            name, columns = (inner.group(2), inner.group(3)) if inner else outer.groups()
            if not inner:
                group = name
            last = (group, name if inner else None)
            times = [nanoseconds(cell) for cell in columns.split("\u2502")[:3]]
            if all(times):
                found[last] = [times, None]
        elif last in found and "B/s" in line:
            found[last][1] = line.split("\u2502")[-4].strip()
    return found


def nanoseconds(cell):
    figure = re.search(r"([\d.]+) (ps|ns|\u00b5s|ms|s)\b", cell)
    return figure and float(figure.group(1)) * UNITS[figure.group(2)]


def readable(time):
    for unit in ("s", "ms", "\u00b5s"):
        if time >= UNITS[unit]:
            return f"{time / UNITS[unit]:.3g} {unit}"
    return f"{time:.3g} ns"


def reported(found):
    missing = [name for name in NAMES if not any(group == name for group, _ in found)]
    assert not missing, f"not measured: {missing}"
    report = Report()
    report.title("Single steps")
    rows, order = [], {name: place for place, name in enumerate(NAMES)}
    for (group, argument), ((fastest, slowest, median), rate) in sorted(found.items(), key=lambda entry: order[entry[0][0]]):
        name = "/".join(["micro", group, *([argument.strip("/").replace("/", "-")] if argument else [])])
        report.measurements.append(
            {"name": name, "unit": "ns", "median": median, "lowest": fastest, "highest": slowest}
        )
        label = NAMES[group] + (f": {argument}" if argument else "")
        rows.append([label, readable(median), f"{readable(fastest)} to {readable(slowest)}", rate or ""])
    report.table(["", "median", "lowest to highest", "of the upstream's bytes"], rows)
    return report
