#!/usr/bin/env python3
"""Counts the instructions and the allocations of a request, and compares them with the record.

    python3 benches/cost.py [--record] [BINARY]

callgrind counts, so the numbers don't depend on the load of the machine. Each case is a sequence of equal requests on one
connection, to a gateway with one thread. `make cost` builds the binary, target/release/cursorgate by default. The record
is benches/cost.json; a number that is more than 3 % above it is an error. With --record the numbers are written there:
the commit says why they are higher. The binary is built without the profile of release builds, which `make profile` renews
after the record. benches/README.md describes the cases.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORD = ROOT / "benches/cost.json"
PROFILE = ROOT / "benches/profile/record.json"
# A number may be this much above the record.
TOLERANCE = 0.03
# The number of requests before the count begins, and of those that are counted.
WARM_UP, COUNTED = 60, 100
ALLOCATES = re.compile(r"^(mi_|_mi_)?(malloc|calloc|realloc|zalloc)(_aligned)?$|^mi_.*(malloc|zalloc|realloc)_aligned$")

CONFIGURATION = """
version = 1
[server]
threads = 1
[log]
access = "off"
[listeners.public]
address = "127.0.0.1:{public}"
[cursor]
signing_key = 1
keys = {{ 1 = "env:CURSORGATE_KEY" }}
[upstreams.service]
peers = ["127.0.0.1:{upstream}"]
[defaults]
upstream = "service"
dialect = "offset-limit"
order = ["id"]
old_clients = "none"
page_size = {{ default = 20, max = 1000 }}
[routes.items]
path = "/items"
[routes.cached]
path = "/cached"
upstream_path = "/items"
page_cache = {{ ttl = "1h" }}
"""


def item(number, size):
    head = f'{{"id":{number},"created_at":"2026-01-01T00:00:00Z","name":"item {number}","text":"'
    return head + "x" * max(0, size - len(head) - 2) + '"}'


class Upstream(socketserver.StreamRequestHandler):
    """A list of 100,000 items of 250 or 1,000 bytes, by offset and limit."""

    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = {}
        while line := self.rfile.readline():
            target = line.split()[1].decode()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            if target not in answers:
                answers[target] = self.answer(target)
            self.wfile.write(answers[target])

    @staticmethod
    def answer(target):
        numbers = dict(re.findall(r"(\w+)=(\d+)", target))
        first, count = int(numbers.get("offset", 0)), int(numbers.get("limit", 20))
        size = 1_000 if count >= 100 else 250
        items = ",".join(item(number, size) for number in range(first, first + count))
        body = f'{{"data":[{items}],"total":100000,"offset":{first},"limit":{count}}}'.encode()
        head = (
            "HTTP/1.1 200 OK\r\nServer: legacy\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nVary: Accept\r\nCache-Control: public, max-age=60\r\nConnection: keep-alive\r\n\r\n"
        )
        return head.encode() + body


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """A gateway under callgrind, which counts only while a case runs."""

    def __init__(self, binary, folder, upstream):
        self.folder, self.port = folder, free_port()
        (folder / "cursorgate.toml").write_text(CONFIGURATION.format(public=self.port, upstream=upstream))
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/counts"]
        command += [binary, "run", "--config", folder / "cursorgate.toml"]
        key = subprocess.run([binary, "keygen"], check=True, capture_output=True, text=True).stdout.strip()
        self.log = open(folder / "log", "wb")
        environment = os.environ | {"CURSORGATE_KEY": key}
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"the gateway does not start:\n{(folder / 'log').read_text()}")
                time.sleep(0.2)

    def control(self, *arguments):
        subprocess.run(["callgrind_control", *arguments, str(self.process.pid)], check=True, stdout=subprocess.DEVNULL)

    def counted(self, name, path, headers, status):
        """Returns the instructions and the allocations of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)

        def ask():
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != status:
                sys.exit(f"{name}: {answer.status} instead of {status}: {body[:500]}")
            return answer

        etag = ask().getheader("ETag")
        for _ in range(WARM_UP // 2):
            ask()
        self.control("--instr=on")
        for _ in range(WARM_UP // 2):
            ask()
        self.control("--zero")
        for _ in range(COUNTED):
            ask()
        self.control(f"--dump={name}")
        self.control("--instr=off")
        connection.close()
        return self.read(), etag

    def read(self):
        newest = max(self.folder.glob("counts.*"), key=lambda file: file.stat().st_mtime)
        text = newest.read_text()
        newest.unlink()
        return numbers(text)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def numbers(text):
    """Reads the instructions and the calls of allocating functions from a dump."""
    names, allocations, caller, called = {}, 0, "", ""
    instructions = int(re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE).group(1))
    for line in text.splitlines():
        if line.startswith(("fn=", "cfn=")):
            kind, rest = line.split("=", 1)
            number, _, name = rest.partition(" ")
            if name:
                names[number] = name
            if kind == "cfn":
                called = names[number]
            else:
                caller = names[number]
        elif line.startswith("calls=") and ALLOCATES.match(called) and not ALLOCATES.match(caller):
            # An allocating function that calls another one counts once.
            allocations += int(line[6:].split()[0])
    return {"instructions": round(instructions / COUNTED), "allocations": round(allocations / COUNTED, 1)}


def measured(binary):
    with tempfile.TemporaryDirectory() as folder, Server(("127.0.0.1", 0), Upstream) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        gateway = Gateway(binary, pathlib.Path(folder), upstream.server_address[1])
        try:
            found = {}
            for name, path in [
                ("passed on, 5 KB", "/other?limit=20"),
                ("page of 5 KB", "/items?limit=20"),
                ("page of 100 KB", "/items?limit=100"),
                ("cached page of 5 KB", "/cached?limit=20"),
            ]:
                found[name], etag = gateway.counted(name.replace(" ", "-"), path, {}, 200)
            found["304 from the cache"], _ = gateway.counted(
                "not-modified", "/cached?limit=20", {"If-None-Match": etag}, 304
            )
            return found
        finally:
            gateway.stop()
            upstream.shutdown()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("binary", nargs="?", default=str(ROOT / "target/release/cursorgate"))
    arguments.add_argument("--record", action="store_true", help="write the numbers to the record")
    chosen = arguments.parse_args()
    found = measured(chosen.binary)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    above = []
    print(f"{'a request':22} {'instructions':>14} {'record':>10} {'allocations':>12} {'record':>8}")
    for name, own in found.items():
        known = record.get(name, {})
        print(
            f"{name:22} {own['instructions']:>14,} {known.get('instructions', 0):>10,}"
            f" {own['allocations']:>12} {known.get('allocations', 0):>8}"
        )
        for what, number in own.items():
            if what in known and number > known[what] * (1 + TOLERANCE):
                above.append(f"{name}: {number} {what}, {number / known[what] - 1:.1%} above the record")
    if chosen.record:
        RECORD.write_text(json.dumps(found, indent=2) + "\n")
    if not PROFILE.exists() or json.loads(PROFILE.read_text())["cost"] != json.loads(RECORD.read_text()):
        print("the profile of release builds is of another record: run `make profile` before a release")
    if above and not chosen.record:
        sys.exit("\n".join(above))


if __name__ == "__main__":
    main()
