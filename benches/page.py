"""Cost of a page: CPU time per request of the proxy's process, throughput and latency, side by side in one run."""

import json
import os
import re
import statistics
import subprocess

from machine import ROOT, WORK, Process, free_port, get

# name -> items in the upstream's answer, bytes of an item about
SIZES = {"5k": (20, 250), "100k": (100, 1_000), "1m": (1_000, 1_000)}
FIRST = 100_000


def items(count, about):
    """`count` items of about `about` bytes: numbers, text that needs escapes, nesting, as APIs have them."""
    made = []
    for number in range(FIRST, FIRST + count):
        item = {
            "id": number,
            "created_at": "2026-01-01T00:%02d:%02d.%03dZ" % (number // 60_000 % 60, number // 1_000 % 60, number % 1_000),
            "name": "User \u00e9 \"%d\"" % number,
            "email": "user%d@example.com" % number,
            "active": number % 3 > 0,
            "balance": number * 1.25,
            "address": {"street": "Main Street %d" % (number % 99), "city": "Berlin", "geo": [52.5, 13.4]},
        }
        short = about - len(json.dumps(item)) - 12
        if short > 0:
            item["notes"] = ("The quick brown fox \\ jumps / over the lazy dog. " * (short // 40 + 1))[:short]
        made.append(item)
    return made


def upstream_body(count, about):
    page = {"data": items(count, about), "total": 1_000_000}
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()


NGINX_PASS = """
    upstream legacy {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{
            proxy_pass http://legacy;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffers 64 64k;
            proxy_buffer_size 64k;
            proxy_busy_buffers_size 256k;
        }}
    }}
"""

NGINX_LUA = """
    lua_package_path "{lua}/?.lua;;";
    lua_code_cache on;
    upstream legacy {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location /upstream/ {{
            internal;
            proxy_pass http://legacy/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass_request_headers off;
            proxy_buffers 64 64k;
            proxy_buffer_size 64k;
            proxy_busy_buffers_size 256k;
        }}
        location / {{ content_by_lua_file {rewrite}; }}
    }}
"""

NGINX_UPSTREAM = """
    server {{
        listen 127.0.0.1:{port} reuseport;
        root {root};
        location / {{ try_files $uri.json =404; }}
        location = /health {{ return 204; }}
    }}
    open_file_cache max=100;
    sendfile on;
    tcp_nopush on;
"""

CURSORGATE = """
version = 1
listeners = {{ public = {{ address = "127.0.0.1:{port}" }} }}
server = {{ threads = 1 }}
log = {{ level = "error" }}
cursor = {{ signing_key = 1, keys = {{ 1 = "env:CURSORGATE_KEY" }} }}

[upstreams.legacy]
peers = ["127.0.0.1:{upstream}"]
host_header = "legacy"

[dialects.legacy]
request = {{ query = "offset={{offset}}&limit={{size}}" }}
response = {{ items = "/data", total = "/total" }}

[envelopes.page_info]
parameters = {{ limit = "limit", cursor = "cursor", after = "after", before = "before" }}
body = {{ data = ["{{item}}"], pageInfo = {{ hasNextPage = "{{has_next}}", hasPreviousPage = "{{has_prev}}", startCursor = "{{start.cursor}}", endCursor = "{{end.cursor}}", totalCount = "{{total}}" }} }}

[envelopes.relay]
parameters = {{ limit = "first", cursor = "cursor", after = "after", before = "before" }}
body = {{ edges = [{{ cursor = "{{item.cursor}}", node = "{{item}}" }}], pageInfo = {{ hasNextPage = "{{has_next}}", hasPreviousPage = "{{has_prev}}", startCursor = "{{start.cursor}}", endCursor = "{{end.cursor}}" }} }}

[defaults]
upstream = "legacy"

[routes.forward]
path = "/forward/{{*rest}}"
upstream_path = "/{{rest}}"
action = "forward"
"""

ROUTE = """
[routes.{name}-{envelope}]
path = "/{name}-{envelope}"
upstream_path = "/{name}"
dialect = "legacy-{name}"
order = ["id"]
fields = {{ id = {{ type = "number" }} }}
envelope = "{written}"
page_size = {{ default = {limit}, max = {limit} }}
"""

DIALECT = """
[dialects.legacy-{name}]
extends = "legacy"
size = {{ max = {count} }}
"""


ENVELOPES = {"standard": "limit", "page-info": "limit", "relay": "first"}
CONNECTIONS = 32
# Where Debian has the modules of its nginx.
MODULES = "/usr/lib/nginx/modules"


class Peer:
    """One way to the same items: a process, and the target that it is asked for."""

    def __init__(self, name, process, target, rewrites=True):
        self.name, self.process, self.target, self.rewrites = name, process, target, rewrites

    def url(self):
        return f"http://127.0.0.1:{self.process.port}{self.target}"


def nginx(role, body, **values):
    port = free_port()
    wanted = [f"load_module {MODULES}/{module}.so;\n" for module in ("ndk_http_module", "ngx_http_lua_module") if role == "lua"]
    template = (ROOT / "benches/peers/nginx.conf").read_text()
    filled = body.format(port=port, **values)
    for name, value in {"role": role, "directory": str(WORK), "modules": "".join(wanted), "body": filled}.items():
        template = template.replace("{" + name + "}", value)
    path = WORK / f"{role}.conf"
    path.write_text(template)
    return Process(f"nginx-{role}", ["nginx", "-c", str(path), "-p", str(WORK)], port)


def cursorgate(upstream):
    port = free_port()
    text = CURSORGATE.format(port=port, upstream=upstream)
    for name, (count, _) in SIZES.items():
        text += DIALECT.format(name=name, count=count)
        for envelope in ENVELOPES:
            text += ROUTE.format(name=name, envelope=envelope, written=envelope.replace("-", "_"), limit=count - 2)
    path = WORK / "cursorgate.toml"
    path.write_text(text)
    binary = ROOT / "target/release/cursorgate"
    environment = {**os.environ, "CURSORGATE_KEY": "a-key-of-the-benchmark-and-of-nothing-else"}
    return Process("cursorgate", [str(binary), "run", "--config", str(path)], port, env=environment)


def start(names):
    """All servers, and for each size its peers."""
    root = WORK / "pages"
    root.mkdir(parents=True, exist_ok=True)
    for name, (count, about) in SIZES.items():
        (root / f"{name}.json").write_bytes(upstream_body(count, about))
    upstream = nginx("upstream", NGINX_UPSTREAM, root=root)
    passing = nginx("pass", NGINX_PASS, upstream=upstream.port)
    lua = nginx(
        "lua", NGINX_LUA, upstream=upstream.port, lua=ROOT / "benches/peers", rewrite=ROOT / "benches/peers/rewrite.lua"
    )
    bare_port = free_port()
    bare_command = [str(ROOT / "target/release/examples/bare-pingora"), f"127.0.0.1:{bare_port}"]
    bare = Process("bare-pingora", [*bare_command, f"127.0.0.1:{upstream.port}"], bare_port)
    gateway = cursorgate(upstream.port)
    express = Process(
        "express",
        ["node", str(ROOT / "benches/peers/express/server.js"), f"http://127.0.0.1:{upstream.port}"],
        env={**os.environ, "NODE_PATH": str(WORK / "express/node_modules"), "NODE_ENV": "production"},
    )
    sizes = {}
    for size in names:
        limit = SIZES[size][0] - 2
        peers = [
            Peer("nginx", passing, f"/{size}", rewrites=False),
            Peer("bare-pingora", bare, f"/{size}", rewrites=False),
            Peer("forward", gateway, f"/forward/{size}", rewrites=False),
        ]
        for envelope, parameter in ENVELOPES.items():
            path = f"/{size}-{envelope}"
            peers.append(Peer(f"cursorgate-{envelope}", gateway, begin(gateway, path, parameter, limit)))
        peers.append(Peer("nginx-lua", lua, begin(lua, f"/{size}", "limit", limit)))
        peers.append(Peer("express", express, begin(express, f"/{size}", "limit", limit)))
        for peer in peers:
            check(peer, size, limit)
        sizes[size] = peers
    return sizes


def begin(process, path, parameter, limit):
    """The target of the page that follows the first item, so that a cursor is verified with each request."""
    status, _, body = get(f"http://127.0.0.1:{process.port}{path}?{parameter}=1")
    assert status == 200, (process.name, path, status, body[:300])
    page = json.loads(body)
    if "edges" in page or "pageInfo" in page:
        return f"{path}?{parameter}={limit}&after={page['pageInfo']['endCursor']}"
    return f"{path}?{parameter}={limit}&cursor={page['pagination']['nextCursor']}"


def check(peer, size, limit):
    """Every peer gives the same items, and those that rewrite give what leads on."""
    status, headers, body = get(peer.url())
    assert status == 200, (peer.name, size, status, body[:300])
    page = json.loads(body)
    given = [edge["node"] for edge in page["edges"]] if "edges" in page else page["data"]
    truth = items(*SIZES[size])
    assert given == (truth[1 : limit + 1] if peer.rewrites else truth), (peer.name, size)
    if peer.rewrites and "pagination" in page:
        assert page["pagination"]["nextCursor"] and page["links"]["next"] and 'rel="next"' in headers["Link"], peer.name


def load(peer, seconds):
    """One round of wrk: CPU microseconds per request, requests per second, p50 and p99 in milliseconds."""
    before = peer.process.cpu_seconds()
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", peer.url()]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    cpu = peer.process.cpu_seconds() - before
    requests = int(re.search(r"(\d+) requests in", said).group(1))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    assert requests and not failed, (peer.name, said)
    return {
        "cpu": cpu / requests * 1e6,
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)),
        "p50": milliseconds(re.search(r"(?m)^ +50% +(\S+) *$", said).group(1)),
        "p99": milliseconds(re.search(r"(?m)^ +99% +(\S+) *$", said).group(1)),
    }


def milliseconds(text):
    for unit, factor in (("us", 1e-3), ("ms", 1.0), ("s", 1e3)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def run(names, rounds, seconds):
    """Rounds of all peers in turn, so that a slow minute of the machine slows all of them."""
    sizes = start(names)
    measured = {size: {peer.name: [] for peer in peers} for size, peers in sizes.items()}
    for size, peers in sizes.items():
        for peer in peers:
            load(peer, 1)
        for number in range(rounds):
            for peer in peers:
                measured[size][peer.name].append(load(peer, seconds))
            print(f"  {size}: round {number + 1} of {rounds}", flush=True)
    return measured


def table(measured):
    lines = []
    for size, peers in measured.items():
        count, _ = SIZES[size]
        length = len(upstream_body(*SIZES[size]))
        lines += [f"\n{size}: {count} items, {length:,} bytes of the upstream's\n"]
        lines += ["| | CPU a request, \u00b5s | requests a second | p50, ms | p99, ms |", "| --- | --- | --- | --- | --- |"]
        for name, rounds in peers.items():
            middle = {key: statistics.median(entry[key] for entry in rounds) for key in rounds[0]}
            spread = f"{min(entry['cpu'] for entry in rounds):.0f} to {max(entry['cpu'] for entry in rounds):.0f}"
            lines.append(
                f"| {name} | {middle['cpu']:.0f} ({spread}) | {middle['rate']:,.0f} | {middle['p50']:.2f} | {middle['p99']:.2f} |"
            )
    return lines


def comparisons(measured):
    """Ratios of CPU time, round by round: the gateway's page against each peer."""
    pairs = []
    for size, peers in measured.items():
        for other in ("bare-pingora", "nginx", "nginx-lua", "express"):
            pairs.append((f"page-{size}/{other}", peers["cursorgate-standard"], peers[other]))
        pairs.append((f"forward-{size}/bare-pingora", peers["forward"], peers["bare-pingora"]))
        for envelope in ("page-info", "relay"):
            pairs.append((f"{envelope}-{size}/standard", peers[f"cursorgate-{envelope}"], peers["cursorgate-standard"]))
    return [ratio(name, ours, theirs) for name, ours, theirs in pairs]


def ratio(name, ours, theirs):
    ratios = [one["cpu"] / other["cpu"] for one, other in zip(ours, theirs)]
    return {"name": name, "median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}
