"""Walks lists that seeds draw through the shipped binary, and judges the walks by the rows themselves.

    python3 tests/drawn_lists BINARY [--seeds FIRST:LAST] [--keep]

For each list: `learn` writes its configuration, `check --live` compares it, `run` serves it, and the list is walked
forward with several limits and back from its end. `walk --verify` must not call a walk whole that lacks an item, and
an old client must get the service's own bytes. Prints each difference with its seed. Exits with 1 if a client was told
something false: an item skipped, repeated or moved, an end before the end without a mark, another answer for an old
client, or "no item was lost". A refusal, a marked end or a warning of `check --live` is only printed.
"""

import argparse
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import upstream

LIMITS = [1, 7, 20, 100]
#: No walk of these lists has more pages.
MOST_PAGES = 1_000
#: What findings begin with that tell a client something false.
FALSE = "FALSE: "
KEY = secrets.token_hex(32)


class Gateway:
    """A process that serves the configuration of a list."""

    def __init__(self, binary, folder):
        self.port = free_port()
        self.log = open(folder / "gateway.log", "wb")
        listeners = ["--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{free_port()}"]
        command = [binary, "run", *listeners, "list.toml"]
        places = {"cwd": folder, "env": environment() | {"CURSORGATE_PUBLIC_URL": f"http://127.0.0.1:{self.port}"}}
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, **places)
        for _ in range(400):
            if self.process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("the gateway has not started: " + (folder / "gateway.log").read_text()[-800:])

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def environment():
    return os.environ | {"CURSORGATE_KEY": KEY}


def get(url):
    """Returns status, headers and body of an answer, whatever its status."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


class Walk:
    """The items of the pages from a URL on, forward or back, in the order of the list."""

    def __init__(self, url, backwards=False):
        self.items, self.is_marked, self.refusal, self.pages = [], False, None, []
        for _ in range(MOST_PAGES):
            status, headers, body = get(url)
            for _ in range(3):
                if status != 200 and headers.get("retry-after"):
                    status, headers, body = get(url)
            page = json.loads(body)
            if status != 200:
                self.refusal = f"{status} {page.get('code')}: {page.get('detail', '')[:80]}"
                return
            found = [json.dumps(item) for item in page["data"]]
            self.items = found + self.items if backwards else self.items + found
            self.is_marked |= headers.get("cursorgate-end") is not None
            self.pages.append((page["links"], found))
            url = page["links"]["prev" if backwards else "next"]
            if not url:
                return
        self.refusal = "pages without an end"


def judge(drawn, items):
    """Returns the faults of the items of a walk: repeated, out of order, missing in the middle or at the end."""
    world = drawn.world
    faults = []
    if len(set(items)) != len(items):
        faults.append(f"{len(items) - len(set(items))} repeated")
    now = [json.dumps(upstream.item(row)) for row in world.visible()]
    wanted = [row for row in now if row in drawn.stayed]
    got = [row for row in items if row in drawn.stayed]
    if len(set(got)) == len(got) and got != wanted:
        missing = [row for row in wanted if row not in set(got)]
        rest = [row for row in wanted if row in set(got)]
        if rest != got:
            faults.append("out of order")
        behind = len(wanted) - 1 - max((wanted.index(row) for row in got), default=-1)
        before = min((wanted.index(row) for row in got), default=0)
        middle = len(missing) - behind - before
        if middle:
            faults.append(f"{middle} SKIPPED")
        if before:
            faults.append(f"the first {before} missing")
        if behind:
            faults.append(f"the last {behind} missing")
    return faults


def run(binary, *arguments, folder):
    places = {"cwd": folder, "env": environment()}
    done = subprocess.run([binary, *arguments], **places, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def examine(binary, seed, folder):
    """Returns the findings for the list of a seed."""
    drawn = upstream.DrawnList(upstream.draw(seed))
    world, findings, gateway = drawn.world, [], None
    try:
        direct = f"http://127.0.0.1:{drawn.port}/things"
        second = None
        if world.family in ("offset", "page"):
            place = min(10, world.default) if world.family == "offset" else 1 + world.first_page
            second = f"{direct}?{world.size}={min(10, world.default)}&{world.place}={place}"
        options = ["--delay", "0", "--requests", "200", "--out", "list.toml"]
        status, said = run(binary, "learn", direct, *options, folder=folder)
        if second and not (folder / "list.toml").exists():
            # The names are unusual, so the URL of the second page is given.
            status, said = run(binary, "learn", second, *options, folder=folder)
        (folder / "learn.txt").write_text(said)
        if not (folder / "list.toml").exists():
            return world, [f"learn: {status}, no file: " + said.strip().splitlines()[-1][:160]]
        if status:
            findings.append("learn: its own file fails check --live: " + worst(said))
        gateway = Gateway(binary, folder)
        served = f"http://127.0.0.1:{gateway.port}/things"
        for query in old_requests(world):
            straight, through = get(direct + query), get(served + query)
            # Links in answers name the host of the request.
            body = through[2].replace(str(gateway.port).encode(), str(drawn.port).encode())
            if (straight[0], straight[2]) != (through[0], body):
                lengths = f"{straight[0]}, {len(straight[2])} bytes; through {through[0]}, {len(body)} bytes"
                findings.append(f"{FALSE}old client {query}: {lengths}")
        drawn.is_churning = world.churn > 0
        for limit in LIMITS:
            findings += walks(drawn, served, limit)
        drawn.is_churning = False
        findings += verified(binary, drawn, direct, served, folder)
        return world, findings
    finally:
        if gateway:
            gateway.close()
        drawn.close()
        (folder / "requests.txt").write_text("\n".join(drawn.told))


def walks(drawn, served, limit):
    forward = examined(drawn, f"forward {limit}", limit, lambda: Walk(f"{served}?cursor=start&limit={limit}"))
    walk, findings = forward
    if walk.refusal or not walk.pages:
        return findings
    links, items = walk.pages[-1]
    if links["prev"]:
        findings += examined(drawn, f"back {limit}", limit, lambda: joined(Walk(links["prev"], True), items))[1]
    if links["last"]:
        findings += examined(drawn, f"last {limit}", limit, lambda: Walk(links["last"], True))[1]
    return findings


def joined(walk, items):
    """Adds the items of the page that a walk back comes from."""
    walk.items += items
    return walk


def examined(drawn, name, limit, walk):
    """Returns a walk and its findings."""
    found, before = [], drawn.requests
    drawn.told.append(f"--- {name}")
    # A walk back has its last items from the walk forward, so it is judged by the rows that were there since then.
    if not name.startswith("back"):
        drawn.stayed = {json.dumps(upstream.item(row)) for row in drawn.world.visible()}
    walk = walk()
    faults = judge(drawn, walk.items)
    # A walk that is refused or marked may lack items at its end.
    is_open = walk.refusal or walk.is_marked
    is_false = any(not (is_open and "missing" in fault) for fault in faults)
    said = f"{FALSE if is_false else ''}{name}: {', '.join(faults) or 'whole'}"
    if walk.refusal:
        found.append(f"{said}; {walk.refusal} after {len(walk.items)}")
    elif faults:
        found.append(f"{said}{' (marked)' if walk.is_marked else ''}")
    elif walk.is_marked and drawn.world.says_right():
        found.append(f"{name}: marked, though each fact is right")
    asked, needed = drawn.requests - before, len(drawn.world.rows) // min(limit, drawn.world.cap) + 1
    if asked > 40 + 4 * needed:
        found.append(f"{name}: {asked} requests for {needed} pages")
    return walk, found


def verified(binary, drawn, direct, served, folder):
    """Checks that `walk --verify` doesn't call a walk whole that lacks an item."""
    basis = ["--verify", direct, "--config", "list.toml"]
    walk = ["walk", f"{served}?cursor=start&limit=20", *basis, "--out", "walk.ndjson"]
    status, said = run(binary, *walk, folder=folder)
    lines = (folder / "walk.ndjson").read_text().splitlines() if (folder / "walk.ndjson").exists() else []
    items = [json.dumps(json.loads(line)) for line in lines]
    faults = judge(drawn, items)
    if status == 0 and faults:
        return [f"{FALSE}walk --verify says nothing is lost: {', '.join(faults)}"]
    if status == 3 and not faults:
        return ["walk --verify: exit status 3 for a whole walk: " + said.strip().splitlines()[-1][:160]]
    return []


def old_requests(world):
    place = {"offset": "10", "page": "2"}.get(world.family)
    yield ""
    yield f"?{world.size}=5"
    yield f"?{world.size}=1000"
    if place:
        yield f"?{world.place}={place}"
        yield f"?{world.size}=5&{world.place}={place}&x=%20y"
        yield f"?{world.place}=9999"


def worst(said):
    lines = [line.strip() for line in said.splitlines() if "error" in line.lower() or "differ" in line.lower()]
    return " | ".join(lines[:3])[:240]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("binary")
    options.add_argument("--seeds", default="0:40")
    options.add_argument("--keep", action="store_true", help="keep the folder of each list")
    given = options.parse_args()
    begin, end = map(int, given.seeds.split(":"))
    binary, total, false = str(Path(given.binary).resolve()), 0, 0
    for seed in range(begin, end):
        folder = Path(tempfile.mkdtemp(prefix=f"drawn-{seed}-"))
        world, findings = examine(binary, seed, folder)
        if not given.keep:
            shutil.rmtree(folder)
        if findings:
            total += 1
            false += any(finding.startswith(FALSE) for finding in findings)
            print(f"{seed}: {world}")
            for finding in findings:
                print(f"    {finding}")
            sys.stdout.flush()
    print(f"{end - begin} lists, {total} with findings, {false} of which say something false")
    return false > 0


if __name__ == "__main__":
    sys.exit(main())
