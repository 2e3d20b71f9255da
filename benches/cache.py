"""Cached pages: the CPU time of a page from the gateway's memory and from a store, compared with other caches that pass
on the same bytes, and the time of a walk whose next page is made ahead."""

import json
import pathlib
import statistics
import subprocess
import time

import page
import servers
from depth import Client, following
from drift import Listing, serve
from machine import WORK, Process, free_port, gateway, get
from report import Report, amount, between
from servers import SIZES

# The names of the peers in the table, in its order.
PEERS = {
    "bare-pingora": "bare Pingora, passing through",
    "uncached": "cursorgate, `standard`, made anew",
    "cached": "cursorgate, from its memory",
    "validated": "cursorgate, from its memory, 304",
    "stored": "cursorgate, from Redis",
    "nginx-cache": "nginx, `proxy_cache`",
    "varnish": "Varnish",
}

# The number of host names, each with its own pages in the store: more than the memory in front of the store can hold.
HOSTS = 200

# The walk: its number of pages, the time of an upstream's answer, and the client's pause after each page.
PAGES = 40
UPSTREAM_SECONDS = 0.02
CLIENT_SECONDS = 0.02

CACHED = """
version = 1
listeners = {{ public = {{ address = "127.0.0.1:{port}" }} }}
server = {{ threads = 1 }}
log = {{ level = "error", access = "off" }}
cursor = {{ signing_key = 1, keys = {{ 1 = "env:CURSORGATE_KEY" }} }}
{caches}

[upstreams.legacy]
peers = ["127.0.0.1:{upstream}"]
host_header = "legacy"

[dialects.legacy]
request = {{ query = "offset={{offset}}&limit={{size}}" }}
response = {{ items = "/data", total = "/total" }}

[defaults]
upstream = "legacy"
old_clients = "none"
page_cache = {{ ttl = "1h" }}
"""

IN_STORE = """
[caches.pages]
size = "64KiB"

[caches.shared]
addresses = ["127.0.0.1:{port}"]
timeout = "1s"
"""

WALKED = """
version = 1
listeners = {{ public = {{ address = "127.0.0.1:{port}" }} }}
log = {{ level = "error", access = "off" }}
cursor = {{ signing_key = 1, keys = {{ 1 = "env:CURSORGATE_KEY" }} }}

[upstreams.legacy]
peers = ["127.0.0.1:{upstream}"]
host_header = "legacy"

[dialects.offset]
request = {{ query = "offset={{offset}}&limit={{size}}" }}
size = {{ max = 500 }}
response = {{ items = "/data", total = "/total" }}

[defaults]
upstream = "legacy"
old_clients = "none"
upstream_path = "/items"
dialect = "offset"
order = ["-id"]
fields = {{ id = {{ type = "number" }} }}
page_cache = {{ ttl = "1s" }}

[routes]
alone = {{ path = "/alone" }}
ahead = {{ path = "/ahead", prefetch = true }}
"""

NGINX_CACHE = """
    proxy_cache_path {directory}/nginx-cache keys_zone=pages:10m max_size=100m;
    upstream legacy {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{
            proxy_pass http://legacy;
            proxy_cache pages;
            proxy_cache_valid 200 1h;
            {ask}
        }}
    }}
"""

VARNISH = """
vcl 4.1;
backend legacy {{ .host = "127.0.0.1"; .port = "{upstream}"; }}
sub vcl_backend_response {{ set beresp.ttl = 1h; }}
"""

# Each request has another host, so its page isn't in the memory in front of the store.
MANY_HOSTS = """
local number = 0
function request()
  number = (number + 1) % {hosts}
  wrk.headers["Host"] = "host" .. number .. ".test"
  return wrk.format()
end
"""


def cursorgate(name, upstream, caches=""):
    port = free_port()
    text = CACHED.format(port=port, upstream=upstream.port, caches=caches)
    for size, (count, _) in SIZES.items():
        text += servers.DIALECT.format(size=size, count=count)
        text += servers.ROUTE.format(size=size, envelope="standard", limit=servers.limit_of(size))
    return gateway(name, text, port)


def varnish(upstream):
    path = WORK / "varnish.vcl"
    path.write_text(VARNISH.format(upstream=upstream.port))
    port = free_port()
    command = ["varnishd", "-F", "-f", str(path), "-a", f"127.0.0.1:{port}", "-n", str(WORK / "varnish"), "-s", "malloc,64m"]
    # One pool with few threads is the closest that Varnish comes to one worker.
    options = ["-j", "none", "-p", "thread_pools=1", "-p", "thread_pool_min=5", "-p", "thread_pool_max=40"]
    return Process("varnish", [*command, *options], port)


def redis():
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return Process("redis", command, port)


def start(sizes):
    """Starts all servers. Returns the peers for each size. The other caches pass on the bytes of the gateway's page."""
    upstream, store = servers.upstream(), redis()
    bare, plain = servers.bare_pingora(upstream), servers.cursorgate(upstream)
    memory = cursorgate("cursorgate-cached", upstream)
    shared = cursorgate("cursorgate-stored", upstream, IN_STORE.format(port=store.port))
    held = servers.nginx("cache", NGINX_CACHE, upstream=upstream.port, directory=WORK)
    other = varnish(upstream)
    script = WORK / "hosts.lua"
    script.write_text(MANY_HOSTS.format(hosts=HOSTS))
    found = {}
    for size in sizes:
        limit = servers.limit_of(size)

        def peer(name, process):
            target = page.begin(process, f"/{size}-standard", "limit", limit)
            made = page.Peer(name, process, target, "standard")
            page.check(made, size, limit)
            return made

        cached, stored = peer("cached", memory), peer("stored", shared)
        validated = page.Peer("validated", memory, cached.target)
        _, headers, body = get(cached.url())
        assert headers["Cache-Status"].startswith("cursorgate; hit; ttl="), headers["Cache-Status"]
        validated.arguments = ["-H", f"If-None-Match: {headers['ETag']}"]
        stored.arguments = ["-s", str(script)]
        seen = [get(stored.url(), {"Host": f"host{number % HOSTS}.test"})[1]["Cache-Status"] for number in range(HOSTS * 3)]
        assert all("hit" in status for status in seen[HOSTS:]), seen[HOSTS:][:3]
        (pathlib.Path(WORK) / "pages" / f"{size}-page.json").write_bytes(body)
        passing = [page.Peer(name, process, f"/{size}-page") for name, process in (("nginx-cache", held), ("varnish", other))]
        for one in passing:
            for _ in range(2):
                assert get(one.url())[2] == body, one.name
        found[size] = [page.Peer("bare-pingora", bare, f"/{size}-page"), peer("uncached", plain), cached, validated, stored]
        found[size] += passing
    return found, store


def walk(client, way):
    """Returns the seconds of a walk by a client that pauses after each page."""
    began = time.monotonic()
    _, given = client.get(f"/{way}?limit=20")
    for _ in range(PAGES - 1):
        time.sleep(CLIENT_SECONDS)
        _, given = client.get(following(given))
    return time.monotonic() - began


def walks(rounds):
    listing = Listing()
    answer = listing.answer

    def slowly(*asked):
        time.sleep(UPSTREAM_SECONDS)
        return answer(*asked)

    listing.answer = slowly
    server, port = serve(listing), free_port()
    through = gateway("cursorgate-walked", WALKED.format(port=port, upstream=server.server_address[1]), port)
    client, taken, asked = Client(port), {"alone": [], "ahead": []}, {"alone": [], "ahead": []}
    for _ in range(rounds):
        for way in taken:
            # After this pause, the pages of the previous walk are stale.
            time.sleep(1.1)
            before = listing.asked
            taken[way].append(walk(client, way))
            time.sleep(5 * UPSTREAM_SECONDS)
            asked[way].append((listing.asked - before) / PAGES)
    through.stop()
    server.shutdown()
    return taken, asked


def run(plan):
    """Measures all peers in turn in each round, as in `page`."""
    sizes, store = start([size for size in plan.sizes if size != "1m"])
    measured = {size: {name: [] for name in PEERS} for size in sizes}
    spent = {size: [] for size in sizes}
    for size, peers in sizes.items():
        for number in range(plan.rounds):
            for peer in peers if number % 2 == 0 else peers[::-1]:
                before = store.cpu_seconds()
                entry = page.load(peer, plan.seconds)
                measured[size][peer.name].append(entry)
                if peer.name == "stored":
                    spent[size].append((store.cpu_seconds() - before) / (entry["rate"] * plan.seconds) * 1e6)
            print(f"  cache {size}: round {number + 1} of {plan.rounds}", flush=True)
    for process in {peer.process for peers in sizes.values() for peer in peers}:
        process.stop()
    store.stop()
    return reported(measured, spent, *walks(max(2, plan.rounds)))


def reported(measured, spent, taken, asked):
    report = Report()
    report.title("Pages that were made before")
    for size, peers in measured.items():
        body = len((WORK / "pages" / f"{size}-page.json").read_bytes()) / 1e3
        report.say(f"{size}: {body:,.0f} KB to the client; {page.CONNECTIONS} connections")
        rows = []
        for name, rounds in peers.items():
            report.measured(f"cache-{size}/{name}/cpu", "\u00b5s", [entry["cpu"] for entry in rounds])
            middle = {key: statistics.median(entry[key] for entry in rounds) for key in rounds[0]}
            cpu = between([entry["cpu"] for entry in rounds])
            rows.append([PEERS[name], cpu, amount(middle["rate"]), f"{middle['p50']:.2f}", f"{middle['p99']:.2f}"])
        report.table(["", "CPU a request, \u00b5s", "requests a second", "p50, ms", "p99, ms"], rows)
        report.say(f"The server of Redis takes {between(spent[size])} \u00b5s more for each request.")
        for other in ("bare-pingora", "nginx-cache", "varnish"):
            cpu = {name: [entry["cpu"] for entry in peers[name]] for name in ("cached", "stored", other)}
            report.compared(f"cached-{size}/{other}", cpu["cached"], cpu[other])
        report.compared(f"stored-{size}/bare-pingora", cpu_of(peers, "stored"), cpu_of(peers, "bare-pingora"))
        report.compared(f"stored-{size}/uncached", cpu_of(peers, "stored"), cpu_of(peers, "uncached"))
    report.say(
        f"A walk of {PAGES} pages, where the upstream takes {UPSTREAM_SECONDS * 1000:.0f} ms for an answer and the client "
        f"{CLIENT_SECONDS * 1000:.0f} ms with a page:"
    )
    rows = []
    for way, name in (("alone", "each page when it is asked for"), ("ahead", "`prefetch`")):
        report.measured(f"walk/{way}", "s", taken[way])
        report.measured(f"walk/{way}/requests", "1/page", asked[way])
        rows.append([name, between(taken[way]), between(asked[way])])
    report.table(["", "s", "upstream requests a page"], rows)
    report.compared("walk/ahead-to-alone", taken["ahead"], taken["alone"])
    return report


def cpu_of(peers, name):
    return [entry["cpu"] for entry in peers[name]]
