#!/usr/bin/env python3
"""Compares two runs of the benchmark.

    python3 benches/compare.py OLD.json NEW.json

Prints the ratio of new to old for every comparison and every measurement that both runs have. Comparisons are ratios
within one run, so they can be compared between machines; measurements can't. `*` marks a change that is larger than the
scatter of both runs: their ranges don't overlap.
"""

import json
import sys


def read(path):
    with open(path) as file:
        return json.load(file)


def by_name(entries):
    return {entry["name"]: entry for entry in entries}


def rows(old, new):
    """Yields the name, the unit, both medians, their ratio, and whether the ranges don't overlap."""
    before, after = by_name(old), by_name(new)
    for name, entry in after.items():
        if name in before:
            other = before[name]
            apart = entry["lowest"] > other["highest"] or entry["highest"] < other["lowest"]
            ratio = entry["median"] / other["median"] if other["median"] else float("nan")
            yield name, entry.get("unit", ""), other["median"], entry["median"], ratio, apart


def show(title, heads, found):
    print(f"\n{title}\n")
    width = max(len(name) for name, *_ in found)
    print(f"{'':{width}}  {heads[0]:>12}  {heads[1]:>12}  {heads[2]:>9}")
    for name, unit, old, new, ratio, apart in found:
        print(f"{name:{width}}  {old:>12,.2f}  {new:>12,.2f}  {ratio:>9.3f} {'*' if apart else ' '} {unit}".rstrip())


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    old, new = (read(path) for path in sys.argv[1:])
    for part in ("machine", "versions"):
        for name in sorted(old[part].keys() | new[part].keys()):
            if old[part].get(name) != new[part].get(name):
                print(f"{part}: {name} was {old[part].get(name)}, is {new[part].get(name)}")
    if old.get("quick") != new.get("quick"):
        print("one of the two runs was a quick one")
    for part, title in (("comparisons", "Comparisons"), ("measurements", "Figures")):
        found = list(rows(old.get(part, []), new.get(part, [])))
        if found:
            show(title, ("old", "new", "new / old"), found)
        missing = sorted(by_name(old.get(part, [])).keys() ^ by_name(new.get(part, [])).keys())
        if missing:
            print(f"\nin one run alone: {', '.join(missing)}")


if __name__ == "__main__":
    main()
