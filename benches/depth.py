"""Depth: the cost of a page by its depth in a PostgreSQL table of a million rows, which the legacy test service serves.
Measured with `page=` directly, and through the gateway by offset, by keyset and by seek, with warm and cold pivots."""

import json
import statistics
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import chart
from machine import PYTHON, ROOT, Process, free_port, gateway
from report import Report, amount, between

LIMIT = 100
PAGES = (1, 100, 1_000, 9_999)
# The number of pages from which the time of a whole walk is estimated, for the ways whose cost grows with depth.
SAMPLES = 20
ESTIMATED = ("direct", "offset")
# The seconds of walks after which no other walk begins, so that slow machines end in time too.
ENOUGH = 240
SERVICE = ROOT / "tests/end_to_end/upstreams/postgres/service.py"
WAYS = {
    "direct": "page= directly",
    "offset": "offset",
    "keyset": "keyset",
    "seek": "seek, warm",
    "seek-cold": "seek, cold",
}

CONFIGURATION = """
version = 1
listeners = {{ public = {{ address = "127.0.0.1:{port}" }} }}
log = {{ level = "error", access = "off" }}
cursor = {{ signing_key = 1, keys = {{ 1 = "env:CURSORGATE_KEY" }} }}

[upstreams.legacy]
peers = ["127.0.0.1:{upstream}"]
host_header = "legacy"
timeouts = {{ first_byte = "60s", whole = "60s" }}

[dialects.legacy]
request = {{ query = "page={{page}}&per_page={{size}}" }}
size = {{ max = 500 }}
response = {{ items = "/items" }}
sort = {{ query = "sort={{direction}}{{field}}", ascending = "", descending = "-", max_keys = 1 }}
filter = {{ gte = "{{field}}__gte={{value}}", lte = "{{field}}__lte={{value}}" }}
item = {{ path = "{{path}}/{{id}}" }}

[defaults]
upstream = "legacy"
old_clients = "none"
upstream_path = "/items"
dialect = "legacy"
order = ["-created_at", "id"]
sortable = ["created_at", "id"]
filterable = ["created_at"]
ties = "unordered"
fields = {{ created_at = {{ type = "datetime", nulls = "none", grain = "ms" }} }}
page_size = {{ default = 100, max = 100 }}
budgets = {{ time = "120s" }}

[routes]
offset = {{ path = "/offset", mode = "offset", old_clients = "translate" }}
keyset = {{ path = "/keyset", mode = "keyset" }}
seek = {{ path = "/seek", mode = "seek" }}
"""


class Client:
    """A client with a persistent connection. A cold client sends new credentials, without cached data, each time."""

    def __init__(self, port, cold=False):
        self.connection = HTTPConnection("127.0.0.1", port, timeout=300)
        self.cold, self.asked = cold, 0

    def get(self, target):
        """Requests a target. Returns the milliseconds and the body."""
        self.asked += 1
        headers = {"Authorization": f"Bearer {self.asked}"} if self.cold else {}
        began = time.perf_counter()
        self.connection.request("GET", target, headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        taken = (time.perf_counter() - began) * 1e3
        assert answer.status == 200, (target, answer.status, body[:300])
        return taken, json.loads(body)


def following(page):
    link = page["links"]["next"]
    parts = link and urlsplit(link)
    return parts and f"{parts.path}?{parts.query}"


def walk(client, route, rows, pages):
    """Walks the whole table. Returns the seconds, and the targets of the pages whose latency is measured."""
    target, number, seen, at = f"/{route}?limit={LIMIT}", 0, set(), {}
    began = time.perf_counter()
    while target:
        number += 1
        if number in pages:
            at[number] = target
        _, page = client.get(target)
        seen.update(item["id"] for item in page["data"])
        target = following(page)
    taken = time.perf_counter() - began
    assert len(seen) == rows and number == rows // LIMIT, (route, len(seen), number)
    return taken, at


def direct_target(page):
    return f"/items?page={page}&per_page={LIMIT}"


def offset_target(client, page):
    """Returns the target of a page, by a cursor from the previous page, which is requested by its number."""
    if page == 1:
        return f"/offset?limit={LIMIT}"
    return following(client.get(f"/offset?page={page - 1}&per_page={LIMIT}")[1])


def sampled_walk(client, target_of, count):
    """Estimates the seconds of a walk of `count` pages whose cost grows with depth, from pages at even distances."""
    pages = sorted({1 + round(step * (count - 1) / SAMPLES) for step in range(SAMPLES + 1)})
    taken = [client.get(target_of(page))[0] for page in pages]
    areas = zip(zip(pages, taken), zip(pages[1:], taken[1:]))
    return (taken[0] + sum((after - before) * (low + high) / 2 for (before, low), (after, high) in areas)) / 1e3


def run(plan):
    service = Process("postgres", [PYTHON, str(SERVICE), "--rows", str(plan.rows), "--index", "--uncounted"])
    port = free_port()
    through = gateway("cursorgate-depth", CONFIGURATION.format(port=port, upstream=service.port), port)
    count = plan.rows // LIMIT
    pages = sorted({min(page, count - 1) for page in PAGES})
    direct, warm, cold = Client(service.port), Client(through.port), Client(through.port, cold=True)
    clients = {"direct": direct, "offset": warm, "keyset": warm, "seek": warm, "seek-cold": cold}
    at = {"direct": {page: direct_target(page) for page in pages}}
    at["offset"] = {page: offset_target(warm, page) for page in pages}
    walks = {way: [] for way in WAYS}
    began = time.monotonic()
    for number in range(plan.walks):
        if time.monotonic() - began > ENOUGH:
            print("  no further walks: they take too long here", flush=True)
            break
        for way, route in (("keyset", "keyset"), ("seek", "seek"), ("seek-cold", "seek")):
            taken, at[way] = walk(clients[way], route, plan.rows, pages)
            walks[way].append(taken)
            print(f"  walk {number + 1} of {plan.walks}, {way}: {taken:.0f} s", flush=True)
        walks["direct"].append(sampled_walk(direct, direct_target, count))
        walks["offset"].append(sampled_walk(warm, lambda page: offset_target(warm, page), count))
    measured = {way: {page: [] for page in pages} for way in WAYS}
    for number in range(plan.rounds):
        for way in WAYS:
            for page in pages:
                if way == "seek":
                    # The pivot may have been evicted since the walk, so the first request isn't measured.
                    clients[way].get(at[way][page])
                measured[way][page].append(clients[way].get(at[way][page])[0])
        print(f"  latency: round {number + 1} of {plan.rounds}", flush=True)
    through.stop()
    service.stop()
    return reported(plan, pages, measured, walks)


def reported(plan, pages, measured, walks):
    report = Report()
    report.title("Depth")
    report.say(
        f"{plan.rows:,} rows in PostgreSQL, pages of {LIMIT}, one client, milliseconds. The walks directly and by offset "
        f"are estimated: they take a time that grows with the square of the rows, so pages at {SAMPLES + 1} even "
        "distances are measured, and the rest lies on the lines between them. The other walks are walked, every page."
    )
    rows = []
    for way, name in WAYS.items():
        for page in pages:
            report.measured(f"depth/{way}/page-{page}", "ms", measured[way][page])
        report.measured(f"walk/{way}", "s", walks[way])
        cells = [between(measured[way][page]) for page in pages]
        whole = between(walks[way]) if len(walks[way]) > 1 else amount(walks[way][0])
        rows.append([name, *cells, whole + " (estimated)" * (way in ESTIMATED)])
    report.table(["", *(f"page {page:,}" for page in pages), "whole walk, s"], rows)
    for way in ("direct", "offset", "keyset", "seek", "seek-cold"):
        latencies = measured[way]
        report.compared(f"depth/{way}-last-to-first", latencies[pages[-1]], latencies[pages[0]])
        # The first page may cost more than later ones, because the gateway learns the upstream's cap there.
        report.compared(f"depth/{way}-last-to-{pages[1]}", latencies[pages[-1]], latencies[pages[1]])
    for way in ("keyset", "seek", "seek-cold", "offset"):
        report.compared(f"walk/direct-to-{way}", walks["direct"], walks[way])
    medians = {way: {page: statistics.median(values) for page, values in measured[way].items()} for way in WAYS}
    chart.depth(medians, WAYS, plan.rows, plan.quick)
    return report
