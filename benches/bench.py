#!/usr/bin/env python3
"""Measures the cost of the gateway and of its alternatives side by side, in one run on one machine.

    python3 benches/bench.py [--quick] [PART ...]

PART is page, cache, depth, drift, memory or micro. Without a PART, all of them run; a quick run leaves out micro. `make
bench` installs the servers and builds the binaries. Writes target/bench/results.json and results.md, and the charts in
docs/performance.md; a quick run writes its charts to target/bench. benches/README.md describes each measurement.
"""

import argparse
import dataclasses
import datetime
import glob
import json
import time

import cache
import chart
import depth
import drift
import machine
import memory
import micro
import page
import servers
from report import Report

PARTS = {"page": page.run, "cache": cache.run, "depth": depth.run, "drift": drift.run, "memory": memory.run, "micro": micro.run}


@dataclasses.dataclass
class Plan:
    """The extent of the measurements."""

    quick: bool
    # The parts that run if the command names none.
    parts: list
    sizes: list
    # The seconds of load before each measurement, the number of rounds, and the seconds of each round.
    warm_up: int
    rounds: int
    seconds: int
    rows: int
    # The number of whole walks through the table for each way of paging.
    walks: int
    # Whether cursorgate is also measured with other envelopes than `standard`, and when it passes requests through.
    every_peer: bool
    # The numbers of idle connections and of requests in flight.
    idle: int
    in_flight: int
    # The seconds of load before memory is measured, and the seconds for which it must not change.
    load: int
    still: float


FULL = Plan(
    quick=False,
    parts=list(PARTS),
    sizes=list(servers.SIZES),
    warm_up=1,
    rounds=5,
    seconds=3,
    rows=1_000_000,
    walks=2,
    every_peer=True,
    idle=10_000,
    in_flight=1_000,
    load=120,
    still=2,
)
# `micro` is left out, because it needs a separate build.
QUICK = dataclasses.replace(
    FULL,
    quick=True,
    parts=[part for part in PARTS if part != "micro"],
    sizes=[size for size in servers.SIZES if size != "1m"],
    warm_up=0,
    rounds=2,
    seconds=1,
    rows=50_000,
    walks=1,
    every_peer=False,
    in_flight=100,
    load=3,
    still=0.3,
)


def versions(quick):
    postgres = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return {
        "cursorgate": machine.version(machine.GATEWAY, "--version"),
        "commit": machine.commit(),
        "profile": "none" if quick else profile(),
        "rustc": machine.version("rustc", "--version"),
        "pingora": pingora(),
        "nginx": machine.version("nginx", "-v"),
        "varnish": machine.version("varnishd", "-V"),
        "redis": machine.version("redis-server", "--version"),
        "lua-nginx-module": machine.debian("libnginx-mod-http-lua"),
        "lua-cjson": machine.debian("lua-cjson"),
        "node": machine.version("node", "--version"),
        "express": json.loads((machine.ROOT / "benches/peers/express/package.json").read_text())["dependencies"]["express"],
        "postgres": machine.version(postgres[-1] if postgres else "postgres", "--version"),
        "wrk": machine.version("wrk", "-v"),
    }


def profile():
    """Returns the commit of the profile with which the gateway is built, as in a release."""
    record = machine.ROOT / "benches/profile/record.json"
    return "of commit " + json.loads(record.read_text())["commit"] if record.exists() else "none"


def pingora():
    """Returns the version of Pingora in the lock file."""
    lines = iter((machine.ROOT / "Cargo.lock").read_text().splitlines())
    for line in lines:
        if line == 'name = "pingora"':
            return next(lines).removeprefix("version = ").strip('"')
    return "not known"


def overview(results):
    """Returns the lines at the head of the report: the machine, the versions, and the ratios."""
    lines = ["# What cursorgate costs\n", ", ".join(f"{key} {value}" for key, value in results["machine"].items()), ""]
    lines += [", ".join(f"{name} {value}" for name, value in results["versions"].items()), ""]
    lines += ["| comparison | median | lowest | highest |", "| --- | ---: | ---: | ---: |"]
    for entry in results["comparisons"]:
        lines.append("| {name} | {median:.2f} | {lowest:.2f} | {highest:.2f} |".format(**entry))
    return [*lines, ""]


def written(results, lines):
    """Writes the results to files, and returns them as Markdown."""
    text = "\n".join([*overview(results), *lines]) + "\n"
    (machine.WORK / "results.md").write_text(text)
    (machine.WORK / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    return text


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("parts", nargs="*", metavar="PART")
    arguments.add_argument("--quick", action="store_true", help="fewer rounds, a smaller table")
    chosen = arguments.parse_args()
    unknown = [part for part in chosen.parts if part not in PARTS]
    if unknown:
        arguments.error(f"there is no part {unknown[0]}: {', '.join(PARTS)}")
    plan = QUICK if chosen.quick else FULL
    machine.WORK.mkdir(parents=True, exist_ok=True)
    most = machine.allow_many_connections()
    # Some of the open files aren't connections, and the gateway reserves half of them for upstreams.
    plan.idle, plan.in_flight = min(plan.idle, most // 2 - 500), min(plan.in_flight, (most - 500) // 2)
    results = {
        "machine": machine.machine(),
        "versions": versions(plan.quick),
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "quick": plan.quick,
        "seconds": {},
    }
    whole, text = Report(), ""
    for part, run in PARTS.items():
        if part in (chosen.parts or plan.parts):
            print(f"{part}:", flush=True)
            began = time.monotonic()
            whole.take(run(plan))
            results["seconds"][part] = round(time.monotonic() - began)
            # The results are written after each part, so a part that fails loses only its own.
            text = written(results | {"comparisons": whole.comparisons, "measurements": whole.measurements}, whole.lines)
    print(text)
    print(f"written: {machine.WORK}/results.md, results.json; charts in {chart.QUICK if plan.quick else chart.COMMITTED}")


if __name__ == "__main__":
    main()
