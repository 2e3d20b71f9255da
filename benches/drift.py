"""Drift: the number of upstream requests for a page, by the number of places that the page has moved."""

import http.server
import json
import random
import re
import threading
from urllib.parse import parse_qsl, urlsplit

from depth import Client, following
from machine import free_port, gateway
from report import Report, amount, spread

LIMIT = 20
ROWS = 60_000
# The page from which each trial continues, at a distance from both ends that is larger than the largest drift.
BEGIN = 1_500
DRIFTS = (0, 1, 10, 100, 10_000)
WAYS = {
    "offset": "offset",
    "offset-without-total": "offset, no total",
    "page": "page",
    "page-without-total": "page, no total",
    "keyset": "keyset",
    "seek": "seek, warm",
}

CONFIGURATION = """
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
sort = {{ query = "sort={{direction}}{{field}}", ascending = "", descending = "-", max_keys = 1 }}
filter = {{ gte = "{{field}}__gte={{value}}", lte = "{{field}}__lte={{value}}" }}
item = {{ path = "{{path}}/{{id}}" }}

[dialects.page]
extends = "offset"
request = {{ query = "page={{page}}&limit={{size}}" }}

[defaults]
upstream = "legacy"
upstream_path = "/items"
dialect = "offset"
order = ["-id"]
sortable = ["id"]
fields = {{ id = {{ type = "number" }} }}
old_clients = "translate"

[routes]
offset = {{ path = "/offset", mode = "offset" }}
offset-without-total = {{ path = "/offset-without-total", mode = "offset", upstream_path = "/untold" }}
page = {{ path = "/page", mode = "offset", dialect = "page" }}
page-without-total = {{ path = "/page-without-total", mode = "offset", dialect = "page", upstream_path = "/untold" }}
keyset = {{ path = "/keyset", mode = "keyset", filterable = ["id"] }}
seek = {{ path = "/seek", mode = "seek", filterable = ["id"] }}
"""


class Listing:
    """The legacy list, newest first, in memory. Counts its requests, and drifts on demand."""

    def __init__(self):
        self.ids = list(range(ROWS, 0, -1))
        self.asked = 0

    def drift(self, by):
        """Inserts this number of items at the start, or removes as many there if the number is negative."""
        if by < 0:
            del self.ids[:-by]
        else:
            newest = self.ids[0]
            self.ids[:0] = range(newest + by, newest, -1)

    def answer(self, path, query):
        """Returns the answer to a request; None for an item that doesn't exist."""
        self.asked += 1
        item = re.fullmatch(r"/(?:items|untold)/(\d+)", path)
        if item:
            return {"id": int(item.group(1))} if int(item.group(1)) in self.ids else None
        ids = self.ids
        if "id__gte" in query:
            ids = [one for one in ids if one >= int(query["id__gte"])]
        if "id__lte" in query:
            ids = [one for one in ids if one <= int(query["id__lte"])]
        if query.get("sort") == "id":
            ids = ids[::-1]
        size = min(int(query.get("limit", LIMIT)), 500)
        begin = int(query["offset"]) if "offset" in query else (int(query.get("page", 1)) - 1) * size
        page = {"data": [{"id": one} for one in ids[begin : begin + size]]}
        return page if path == "/untold" else {**page, "total": len(ids)}


def serve(listing):
    """Serves the list on a separate port, in a thread of this process."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            url = urlsplit(self.path)
            found = listing.answer(url.path, dict(parse_qsl(url.query)))
            body = json.dumps(found or {}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def trial(client, listing, way, page, drift):
    """Returns the number of requests for the page after `page` once the list has drifted. Checks the page's items."""
    dialect = "page" if way.startswith("page") else "offset"
    begin = f"page={page}" if dialect == "page" else f"offset={(page - 1) * LIMIT}"
    _, first = client.get(f"/{way}?{begin}&limit={LIMIT}")
    target = following(first)
    listing.drift(drift)
    before = listing.asked
    _, second = client.get(target)
    requests = listing.asked - before
    last = first["data"][-1]["id"]
    assert [item["id"] for item in second["data"]] == [last - place for place in range(1, LIMIT + 1)], (way, drift)
    return requests


def undisturbed(client, listing, way, pages):
    """Returns the requests per page in a walk over an unchanging list. The first page is left out, because the gateway
    may have to learn the upstream's cap there."""
    _, page = client.get(f"/{way}?limit={LIMIT}")
    before = listing.asked
    for _ in range(pages):
        _, page = client.get(following(page))
    return (listing.asked - before) / pages


def run(plan):
    listing = Listing()
    server = serve(listing)
    port = free_port()
    through = gateway("cursorgate-drift", CONFIGURATION.format(port=port, upstream=server.server_address[1]), port)
    client, dice = Client(port), random.Random(20)
    trials = 3 if plan.quick else 10
    at_rest = {way: undisturbed(client, listing, way, 200) for way in WAYS}
    measured = {way: {drift: [] for drift in DRIFTS} for way in WAYS}
    for number in range(trials):
        page = BEGIN - dice.randrange(0, 100)
        for way in WAYS:
            for drift in DRIFTS:
                for signed in {drift, -drift}:
                    measured[way][drift].append(trial(client, listing, way, page, signed))
    through.stop()
    server.shutdown()
    return reported(at_rest, measured, trials)


def reported(at_rest, measured, trials):
    report = Report()
    report.title("Drift")
    report.say(
        f"Upstream requests for a page of {LIMIT}, counted at the upstream, when so many items have come or gone before it "
        f"since its cursor was made: median (lowest to highest) of {trials} places, both ways. The cap of the upstream is "
        "500 items."
    )
    rows = []
    for way, name in WAYS.items():
        cells = [amount(at_rest[way])]
        report.measured(f"requests/{way}/walk", "1/page", [at_rest[way]])
        for drift in DRIFTS[1:]:
            counts = measured[way][drift]
            report.measured(f"requests/{way}/drift-{drift}", "1/page", counts)
            middle = spread(counts)
            cells.append("{median:g} ({lowest} to {highest})".format(**middle))
        rows.append([name, *cells])
    report.table(["", "a walk at rest", *(f"drift of {drift:,}" for drift in DRIFTS[1:])], rows)
    counts = [count for way in WAYS for count in measured[way][0]] + list(at_rest.values())
    report.compared("requests/without-drift-to-pages", counts, [1] * len(counts))
    return report
