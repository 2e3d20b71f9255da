#!/usr/bin/env python3
"""Makes the profile of release builds: loads an instrumented gateway, and merges what it has counted.

    python3 benches/profile.py

`make profile` builds the gateway, whose processes write their counts to the folder of LLVM_PROFILE_FILE when they end.
Writes benches/profile: the profile, which deploy/profile.sh unpacks for a build, and the record of what it was made from.
"""

import hashlib
import json
import lzma
import os
import pathlib
import shutil
import subprocess

import bench
import cache
import drift
import machine
import page
import servers

FOLDER = machine.ROOT / "benches/profile"
# Debian 12 has this version, which reads the counts of the compiler of rust-toolchain.toml.
MERGE = "llvm-profdata-19"
# The seconds of load of each case, and of pages of 5 KB.
SECONDS, MOST_SECONDS = 2, 6
# The number of requests by HTTP/2.
HTTP2_REQUESTS = {"5k": 10_000, "100k": 3_000, "1m": 300}


def pages():
    """Loads the gateway with pages of all sizes and envelopes, compressed pages, and answers that are passed on."""
    upstream = servers.upstream()
    gateway, logged, secure = (servers.cursorgate(upstream, **options) for options in ({}, {"logged": True}, {"tls": True}))
    for size in servers.SIZES:
        limit = servers.limit_of(size)
        targets = {
            envelope: page.begin(gateway, f"/{size}-{envelope}", parameter, limit)
            for envelope, parameter in servers.ENVELOPES.items()
        }
        peers = [page.Peer("forward", gateway, f"/forward/{size}"), page.Peer("logged", logged, targets["standard"])]
        peers += [page.Peer(envelope, gateway, target) for envelope, target in targets.items()]
        peers += [page.Peer(coding, gateway, targets["standard"], coding=coding) for coding in ("gzip", "br", "zstd")]
        for peer in peers:
            page.load(peer, MOST_SECONDS if (size, peer.name) == ("5k", "standard") else SECONDS)
        for target in (f"/forward/{size}", targets["standard"]):
            page.load(Encrypted("tls", secure, target), SECONDS)
            load_http2(secure, target, HTTP2_REQUESTS[size])
        print(f"  pages: {size}", flush=True)
    for process in (gateway, logged, secure, upstream):
        process.stop()


class Encrypted(page.Peer):
    """A gateway with TLS."""

    def url(self):
        return super().url().replace("http:", "https:")


def load_http2(process, target, requests):
    """Loads the gateway by HTTP/2, which wrk can't."""
    url = Encrypted("http2", process, target).url()
    command = ["h2load", "--clients=8", "--max-concurrent-streams=4", f"--requests={requests}", url]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert f"status codes: {requests} 2xx" in said and "protocol: h2" in said, said


def cached():
    """Loads the gateway with pages from its memory, and with 304 in their place."""
    upstream = servers.upstream()
    gateway = cache.cursorgate("cursorgate-cached", upstream)
    for size in servers.SIZES:
        found = page.Peer("cached", gateway, page.begin(gateway, f"/{size}-standard", "limit", servers.limit_of(size)))
        _, headers, _ = machine.get(found.url())
        validated = page.Peer("validated", gateway, found.target)
        validated.arguments = ["-H", f"If-None-Match: {headers['ETag']}"]
        for peer in (found, validated):
            page.load(peer, SECONDS)
    print("  cached pages", flush=True)
    for process in (gateway, upstream):
        process.stop()


def merged(counts):
    """Merges the counts of all processes. `-sparse` leaves out the functions that never ran: the compiler treats them as
    it does without a profile, while a function with a count of zero would be made small rather than quick."""
    files = sorted(counts.glob("*.profraw"))
    whole = counts / "merged.profdata"
    subprocess.run([MERGE, "merge", "-sparse", "-o", whole, *files], check=True)
    return whole.read_bytes()


def main():
    counts = pathlib.Path(os.environ["LLVM_PROFILE_FILE"]).parent
    shutil.rmtree(counts, ignore_errors=True)
    machine.WORK.mkdir(parents=True, exist_ok=True)
    pages()
    cached()
    drift.run(bench.QUICK)
    profile = merged(counts)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "cursorgate.profdata.xz").write_bytes(lzma.compress(profile, preset=9))
    record = {
        "sha256": hashlib.sha256(profile).hexdigest(),
        "commit": machine.commit(),
        "rustc": machine.version("rustc", "--version"),
        "llvm-profdata": machine.version(MERGE, "--version"),
        # The cost of a request when the profile was made: `make cost` says if its record has changed since.
        "cost": json.loads((machine.ROOT / "benches/cost.json").read_text()),
    }
    (FOLDER / "record.json").write_text(json.dumps(record, indent=2) + "\n")
    sizes = [len(profile), (FOLDER / "cursorgate.profdata.xz").stat().st_size]
    print(f"written: {FOLDER}, {sizes[0]:,} bytes, packed {sizes[1]:,}")


if __name__ == "__main__":
    main()
