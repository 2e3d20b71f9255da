"""Cost of a page: the proxy's CPU time per request, throughput and latency, for all peers in one run."""

import json
import re
import statistics
import subprocess

import chart
import servers
from machine import get
from report import Report, amount, between
from servers import ENVELOPES, SIZES

CONNECTIONS = 32
# The names of the peers in the table, in its order.
PEERS = {
    "nginx": "nginx, passing through",
    "bare-pingora": "bare Pingora, passing through",
    "forward": "cursorgate, passing through",
    "plain-forward": "cursorgate, passing through, built without a profile",
    "standard": "cursorgate, `standard`",
    "plain": "cursorgate, `standard`, built without a profile",
    "logged": "cursorgate, `standard`, with an access log",
    "services": "cursorgate, `standard`, with all services idle",
    "page-info": "cursorgate, `page-info`",
    "relay": "cursorgate, `relay`",
    "zstd": "cursorgate, `standard`, zstd",
    "br": "cursorgate, `standard`, Brotli",
    "gzip": "cursorgate, `standard`, gzip",
    "nginx-lua": "nginx + Lua + cjson",
    "express": "Express",
}


# The variants of cursorgate that a quick run leaves out.
BESIDE = ("forward", "plain-forward", "plain", "logged", "services", "page-info", "relay", "zstd", "br", "gzip")

# The codings, and the variant without compression that each is compared with.
CODED = (("zstd", "standard"), ("br", "standard"), ("gzip", "standard"))


class Peer:
    """One way to get the same items: a process, and the target to request from it."""

    def __init__(self, name, process, target, envelope=None, coding=None):
        self.name, self.process, self.target, self.envelope, self.coding = name, process, target, envelope, coding
        # Arguments of `wrk`.
        self.arguments = ["-H", f"Accept-Encoding: {coding}"] if coding else []

    def url(self):
        return f"http://127.0.0.1:{self.process.port}{self.target}"


def start(sizes, every_peer):
    """Starts all servers. Returns the peers for each size, whose answers have been checked. Without `every_peer`, the
    variants in `BESIDE` are left out."""
    upstream = servers.upstream()
    passing, lua = servers.nginx_pass(upstream), servers.nginx_lua(upstream)
    bare, gateway, express = servers.bare_pingora(upstream), servers.cursorgate(upstream), servers.express(upstream)
    others = {"logged": servers.cursorgate(upstream, logged=True), "services": servers.cursorgate(upstream, services=True)}
    if every_peer:
        others["plain"] = servers.cursorgate(upstream, plain=True)
    found = {}
    for size in sizes:
        limit = servers.limit_of(size)
        peers = [
            Peer("nginx", passing, f"/{size}"),
            Peer("forward", gateway, f"/forward/{size}"),
            Peer("bare-pingora", bare, f"/{size}"),
        ]
        for envelope, parameter in ENVELOPES.items():
            peers.append(Peer(envelope, gateway, begin(gateway, f"/{size}-{envelope}", parameter, limit), envelope))
        if every_peer:
            peers.append(Peer("plain-forward", others["plain"], f"/forward/{size}"))
        for name, process in others.items():
            target = begin(process, f"/{size}-standard", "limit", limit)
            peers.append(Peer(name, process, target, "standard"))
        for coding in ("zstd", "br", "gzip"):
            target = begin(gateway, f"/{size}-standard", "limit", limit)
            peers.append(Peer(coding, gateway, target, "standard", coding))
        for name, process in (("nginx-lua", lua), ("express", express)):
            peers.append(Peer(name, process, begin(process, f"/{size}", "limit", limit), "standard"))
        for peer in peers:
            check(peer, size, limit)
        found[size] = [peer for peer in peers if every_peer or peer.name not in BESIDE]
    return found


def begin(process, path, parameter, limit):
    """Returns the target of the page after the first item, so that each request has a cursor to verify."""
    status, _, body = get(f"http://127.0.0.1:{process.port}{path}?{parameter}=1")
    assert status == 200, (process.name, path, status, body[:300])
    page = json.loads(body)
    if "pageInfo" in page:
        return f"{path}?{parameter}={limit}&after={page['pageInfo']['endCursor']}"
    return f"{path}?{parameter}={limit}&cursor={page['pagination']['nextCursor']}"


def check(peer, size, limit):
    """Checks a peer's answer: the whole body if the peer doesn't rewrite it, else the items and the envelope's facts,
    links and header. The gateway's items must also be equal to the upstream's byte for byte."""
    if peer.coding:
        # The same page without a coding is checked below.
        status, headers, body = get(peer.url(), {"Accept-Encoding": peer.coding})
        plain = int(get(peer.url())[1]["Content-Length"])
        found = (status, headers["Content-Encoding"], 3 * len(body) < 2 * plain)
        assert found == (200, peer.coding, True), (peer.name, size, found, len(body), plain)
    status, headers, body = get(peer.url())
    who = (peer.name, size, status, body[:300])
    assert status == 200, who
    if not peer.envelope:
        assert body == servers.upstream_body(size), who
        return
    page, truth = json.loads(body), servers.items(*SIZES[size])[1 : limit + 1]
    given = [edge["node"] for edge in page["edges"]] if peer.envelope == "relay" else page["data"]
    assert given == truth, who
    if peer.process.name.startswith("cursorgate"):
        pieces = [servers.written(item) for item in truth]
        whole = [b'"node":' + piece + b"}" for piece in pieces] if peer.envelope == "relay" else [b",".join(pieces)]
        assert all(piece in body for piece in whole), who
    if peer.envelope != "standard":
        info = page["pageInfo"]
        assert info["hasNextPage"] and info["hasPreviousPage"] and info["startCursor"] and info["endCursor"], who
        if peer.envelope == "relay":
            cursors = [edge["cursor"] for edge in page["edges"]]
            assert len(set(cursors)) == limit and cursors[-1] == info["endCursor"], who
        return
    facts = page["pagination"]
    assert (facts["total"], facts["pageSize"], facts["hasMore"]) == (1_000_000, limit, True), who
    path = peer.target.partition("?")[0]
    links = {name: without_cursor(link) for name, link in page["links"].items()}
    onward = f"{path}?limit={limit}&cursor="
    assert links.pop("first") == onward.removesuffix("&cursor="), who
    assert links == dict.fromkeys(("self", "prev", "next", "last"), onward), who
    assert facts["nextCursor"] in page["links"]["next"] and facts["prevCursor"] in page["links"]["prev"], who
    for relation in ("next", "prev", "first", "last"):
        assert f'<{page["links"][relation]}>; rel="{relation}"' in headers["Link"], who


def without_cursor(link):
    return re.sub(r"(?<=cursor=).*", "", link)


def load(peer, seconds):
    """Runs one round of wrk. Returns CPU microseconds per request, requests per second, p50 and p99 in milliseconds.
    A round without requests, with socket errors or with refused requests is repeated: the machine was too busy."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    command += [*peer.arguments, peer.url()]
    for _ in range(3):
        before = peer.process.cpu_seconds()
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        cpu = peer.process.cpu_seconds() - before
        requests = int(re.search(r"(\d+) requests in", said).group(1))
        if requests and cpu and "Socket errors" not in said and "Non-2xx" not in said:
            return {
                "cpu": cpu / requests * 1e6,
                "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)),
                "p50": milliseconds(re.search(r"(?m)^ +50% +(\S+) *$", said).group(1)),
                "p99": milliseconds(re.search(r"(?m)^ +99% +(\S+) *$", said).group(1)),
            }
    raise SystemExit(f"{peer.name} does not answer all requests:\n{said}")


def milliseconds(text):
    for unit, factor in (("us", 1e-3), ("ms", 1.0), ("s", 1e3)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def run(plan):
    """Measures all peers in turn in each round, so that a slow minute of the machine affects all of them."""
    sizes = start(plan.sizes, plan.every_peer)
    measured = {size: {name: [] for name in PEERS if name in {peer.name for peer in peers}} for size, peers in sizes.items()}
    for size, peers in sizes.items():
        for peer in peers if plan.warm_up else ():
            load(peer, plan.warm_up)
        for number in range(plan.rounds):
            # The order alternates: a peer that is measured early in one round is measured late in the next.
            for peer in peers if number % 2 == 0 else peers[::-1]:
                measured[size][peer.name].append(load(peer, plan.seconds))
            print(f"  page {size}: round {number + 1} of {plan.rounds}", flush=True)
    for process in {peer.process for peers in sizes.values() for peer in peers}:
        process.stop()
    return reported(plan, measured)


def reported(plan, measured):
    report = Report()
    report.title("Cost of a page")
    for size, peers in measured.items():
        kilobytes = len(servers.upstream_body(size)) / 1e3
        report.say(f"{size}: {SIZES[size][0]} items, {kilobytes:,.0f} KB from the upstream; {CONNECTIONS} connections")
        rows = []
        for name, rounds in peers.items():
            for key, unit in (("cpu", "\u00b5s"), ("rate", "1/s"), ("p50", "ms"), ("p99", "ms")):
                report.measured(f"page-{size}/{name}/{key}", unit, [entry[key] for entry in rounds])
            middle = {key: statistics.median(entry[key] for entry in rounds) for key in rounds[0]}
            cpu = between([entry["cpu"] for entry in rounds])
            rows.append([PEERS[name], cpu, amount(middle["rate"]), f"{middle['p50']:.2f}", f"{middle['p99']:.2f}"])
        report.table(["", "CPU a request, \u00b5s", "requests a second", "p50, ms", "p99, ms"], rows)
    for size, peers in measured.items():
        cpu = {name: [entry["cpu"] for entry in rounds] for name, rounds in peers.items()}
        for other in ("bare-pingora", "nginx", "nginx-lua", "express"):
            report.compared(f"page-{size}/{other}", cpu["standard"], cpu[other])
        within = [("forward", "bare-pingora"), ("plain-forward", "forward"), *CODED]
        within += [(name, "standard") for name in ("plain", "logged", "services", "page-info", "relay")]
        for ours, other in within:
            if ours in cpu:
                report.compared(f"{ours}-{size}/{other}", cpu[ours], cpu[other])
    medians = {
        size: {name: statistics.median(entry["cpu"] for entry in rounds) for name, rounds in peers.items()}
        for size, peers in measured.items()
    }
    chart.cost(medians, plan.quick)
    return report
