#!/usr/bin/env python3
"""Measures what the gateway costs, side by side with what one would do instead, in one run on one machine.

    python3 benches/bench.py [PART ...] [--rounds N] [--seconds N]

PART is page, depth, memory; all of them where none is named. `make bench` installs what it needs and builds what it
starts. Writes target/bench/results.json and target/bench/results.md, and the charts that the README shows.
"""

import argparse
import json

import machine
import page

PARTS = ("page",)


def versions():
    return {
        "cursorgate": machine.version(str(machine.ROOT / "target/release/cursorgate"), "--version"),
        "rustc": machine.version("rustc", "--version"),
        "nginx": machine.version("nginx", "-v"),
        "node": machine.version("node", "--version"),
        "wrk": machine.version("wrk", "-v"),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--seconds", type=int, default=3)
    arguments.add_argument("--sizes", default=",".join(page.SIZES))
    chosen = arguments.parse_args()
    parts = chosen.parts or PARTS
    machine.WORK.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine.machine(), "versions": versions(), "comparisons": []}
    lines = [", ".join(str(value) for value in results["machine"].values())]
    lines += [", ".join(f"{name}: {value}" for name, value in results["versions"].items())]
    if "page" in parts:
        measured = page.run(chosen.sizes.split(","), chosen.rounds, chosen.seconds)
        lines += page.table(measured)
        results["comparisons"] += page.comparisons(measured)
    lines += ["\n| comparison | median | lowest | highest |", "| --- | --- | --- | --- |"]
    for entry in results["comparisons"]:
        lines.append("| {name} | {median:.2f} | {lowest:.2f} | {highest:.2f} |".format(**entry))
    text = "\n".join(lines) + "\n"
    print(text)
    (machine.WORK / "results.md").write_text(text)
    (machine.WORK / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
