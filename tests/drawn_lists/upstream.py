"""A list that a seed draws: its rows, its family of paging, its names, its limits and what it says about itself.

The list knows which rows a client may see, so a walk through the gateway is judged against the rows themselves, and
by no word of a dialect.
"""

import base64
import json
import random
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

SIZES = ["limit", "per_page", "page_size", "size", "count", "pageSize", "max", "n"]
PLACES = {
    "offset": ["offset", "skip", "start", "from", "first"],
    "page": ["page", "p", "pageNumber", "page_no"],
    "token": ["page_token", "cursor", "next_token", "continuation", "marker"],
    "after": ["starting_after", "after", "after_id", "since_id", "last_id"],
}


@dataclass
class World:
    """The properties of a list, as a seed draws them."""

    seed: int
    family: str = ""
    place: str = ""
    size: str = ""
    first_page: int = 1
    default: int = 20
    cap: int = 100
    over_cap: str = "clamp"
    ids: str = "numbers"
    order: str = "id"
    hidden: str = "none"
    total: str = "none"
    flag: str = "none"
    link: str = "none"
    past_end: str = "empty"
    shape: str = "data"
    churn: float = 0.0
    rows: list = field(default_factory=list)

    def __str__(self):
        rows, seen = len(self.rows), len(self.visible())
        facts = f"total={self.total} flag={self.flag} link={self.link} past={self.past_end}"
        sizes = f"{self.size}={self.default}..{self.cap} {self.over_cap}"
        hidden = f"hidden={self.hidden}({rows - seen})"
        kind = f"ids={self.ids} order={self.order} {self.shape} churn={self.churn}"
        return f"{self.family} {self.place} {sizes} rows={rows} {hidden} {facts} {kind}"

    def visible(self):
        return [row for row in self.rows if not row["hidden"]]

    def says_right(self):
        """Returns whether a fact tells the end, and none contradicts it."""
        right = "right" in (self.total, self.flag) and self.total in ("none", "right", "rows")
        return right and self.flag in ("none", "right") and self.hidden == "none"


def identity(kind, number, dice):
    if kind == "numbers":
        return number
    if kind == "sparse":
        return 1000 + number * 7
    if kind == "padded":
        return f"{number:08d}"
    return f"{dice.getrandbits(64):016x}"


def draw(seed):
    dice = random.Random(seed)
    world = World(seed)
    world.family = dice.choice(["offset", "offset", "page", "page", "token", "after"])
    world.place = dice.choice(PLACES[world.family])
    world.size = dice.choice(SIZES)
    world.first_page = dice.choice([1, 1, 1, 0]) if world.family == "page" else 0
    world.default = dice.choice([5, 10, 20, 25, 30, 50])
    world.cap = max(world.default, dice.choice([10, 20, 25, 50, 100, 100, 200]))
    world.over_cap = dice.choice(["clamp", "clamp", "refuse", "default"])
    world.ids = dice.choice(["numbers", "sparse", "padded", "random"])
    world.order = "id" if world.family == "after" else dice.choice(["id", "-id", "-created", "none"])
    world.hidden = dice.choice(["none", "none", "none", "few", "run", "runs"])
    world.total = dice.choice(["none", "right", "right", "rows", "5 high", "huge", "page"])
    world.flag = dice.choice(["none", "none", "right", "full", "true"])
    world.link = dice.choice(["none", "none", "none", "right", "header"])
    world.past_end = dice.choice(["empty", "empty", "empty", "404", "400", "first page", "last page"])
    if world.family in ("token", "after"):
        # Nothing is asked for past the end but what follows the last item.
        world.past_end = "empty"
    world.shape = dice.choice(["bare", "data", "items", "nested"])
    world.churn = dice.choice([0.0, 0.0, 0.0, 0.2])
    if world.shape == "bare":
        # A bare array has no room for facts but in headers.
        world.total, world.flag = dice.choice(["none", "right"]), "none"
        world.link = "header" if world.family == "token" else dice.choice(["none", "header"])
    rows = dice.choice([61, 90, 101, 140, 200, 257])
    for number in range(1, rows + 1):
        row = {"id": identity(world.ids, number, dice), "created": f"2024-01-{1 + number // 9 % 28:02d}T10:00:00Z"}
        row |= {"name": dice.choice("abcdefgh") * dice.randint(1, 9), "hidden": False, "number": number}
        world.rows.append(row)
    hide(world, dice)
    if world.order == "id":
        world.rows.sort(key=lambda row: row["id"])
    elif world.order == "-id":
        world.rows.sort(key=lambda row: row["id"], reverse=True)
    elif world.order == "-created":
        world.rows.sort(key=lambda row: row["id"])
        world.rows.sort(key=lambda row: row["created"], reverse=True)
    else:
        dice.shuffle(world.rows)
    return world


def hide(world, dice):
    rows = world.rows
    if world.hidden == "few":
        for row in rows:
            row["hidden"] = dice.random() < 0.2
    elif world.hidden == "run":
        begin = dice.randrange(len(rows))
        for row in rows[begin : begin + dice.randint(5, 60)]:
            row["hidden"] = True
    elif world.hidden == "runs":
        for _ in range(3):
            begin = dice.randrange(len(rows))
            for row in rows[begin : begin + dice.randint(3, 25)]:
                row["hidden"] = True


class Refusal(Exception):
    pass


class DrawnList:
    """The list behind a socket. With churn, a request may add or remove a row; `stayed` are the rows of all times."""

    def __init__(self, world):
        self.world = world
        self.lock = threading.Lock()
        self.dice = random.Random(world.seed + 1)
        self.added = len(world.rows)
        self.stayed = {json.dumps(item(row)) for row in world.visible()}
        self.requests = 0
        self.told = []
        self.is_churning = False
        held = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with held.lock:
                    status, headers, body = held.answer(self.path, self.headers.get("host"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def change(self):
        rows, dice = self.world.rows, self.dice
        if not self.is_churning or dice.random() >= self.world.churn or len(rows) < 5:
            return
        if dice.random() < 0.5:
            gone = rows.pop(dice.randrange(len(rows)))
            self.stayed.discard(json.dumps(item(gone)))
            return
        self.added += 1
        day = dice.randint(1, 28)
        row = {"id": identity(self.world.ids, self.added, dice), "created": f"2024-01-{day:02d}T10:00:00Z"}
        row |= {"name": "new", "hidden": False, "number": self.added}
        if self.world.order == "none":
            rows.insert(dice.randrange(len(rows) + 1), row)
            return
        rows.append(row)
        if self.world.order in ("id", "-id"):
            rows.sort(key=lambda row: row["id"], reverse=self.world.order == "-id")
        else:
            rows.sort(key=lambda row: row["id"])
            rows.sort(key=lambda row: row["created"], reverse=True)

    def answer(self, target, host):
        url = urlsplit(target)
        if url.path != "/things":
            return 404, {"content-type": "application/json"}, b'{"error":"no such path"}'
        self.requests += 1
        self.change()
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            status, headers, body = self.page(query, f"http://{host}{url.path}")
        except Refusal as refusal:
            status, headers, body = refusal.args[0], {"content-type": "application/json"}, b'{"error":"no such page"}'
        self.told.append(f"{status} {target} {headers} {body.decode()}")
        return status, headers, body

    def page(self, query, base):
        world = self.world
        size = self.wanted(query)
        begin = self.begin(query, size)
        rows, end = world.rows, len(world.rows)
        if begin >= end and end:
            if world.past_end in ("404", "400"):
                raise Refusal(int(world.past_end))
            if world.past_end == "first page" and world.family in ("offset", "page"):
                begin = 0
            elif world.past_end == "last page" and world.family in ("offset", "page"):
                begin = (end - 1) // size * size
        window = rows[begin : begin + size]
        items = [item(row) for row in window if not row["hidden"]]
        more = begin + size < end
        facts, headers = self.facts(items, more, size), {"content-type": "application/json"}
        following = self.following(query, begin, size, window) if more else None
        if world.family == "token" and world.link != "header":
            facts["next"] = following and dict(parse_qsl(following))[world.place]
        elif world.link == "right":
            facts["next"] = following and f"{base}?{following}"
        if world.link == "header" and following:
            headers["link"] = f'<{base}?{following}>; rel="next"'
        if world.shape == "bare":
            if "total" in facts:
                headers["x-total-count"] = str(facts["total"])
            body = items
        elif world.shape == "nested":
            body = {"ok": True, "result": {"list": items, "paging": facts}}
        else:
            body = {world.shape: items, **facts}
        return 200, headers, json.dumps(body).encode()

    def wanted(self, query):
        world = self.world
        text = query.get(world.size, "")
        if not text.isdigit() or int(text) < 1:
            return world.default
        if int(text) <= world.cap:
            return int(text)
        if world.over_cap == "refuse":
            raise Refusal(400)
        return world.cap if world.over_cap == "clamp" else world.default

    def begin(self, query, size):
        world, text = self.world, query.get(self.world.place, "")
        if world.family == "offset":
            return int(text) if text.isdigit() else 0
        if world.family == "page":
            number = int(text) if text.isdigit() else world.first_page
            return max(0, number - world.first_page) * size
        if not text:
            return 0
        if world.family == "token":
            try:
                number = int(base64.urlsafe_b64decode(text.encode()).decode().removeprefix("after:"))
            except ValueError:
                raise Refusal(400) from None
            # A token stands behind a row, also once the row is gone.
            places = {row["number"]: place for place, row in enumerate(world.rows)}
            if number not in places:
                raise Refusal(400)
            return places[number] + 1
        after = [place for place, row in enumerate(world.rows) if str(row["id"]) == text]
        if after:
            return after[0] + 1
        later = [place for place, row in enumerate(world.rows) if str(row["id"]).zfill(20) > text.zfill(20)]
        return later[0] if later else len(world.rows)

    def following(self, query, begin, size, window):
        world = self.world
        rest = {name: value for name, value in query.items() if name != world.place}
        place = {
            "offset": lambda: str(begin + size),
            "page": lambda: str(begin // size + 1 + world.first_page),
            "token": lambda: base64.urlsafe_b64encode(f"after:{window[-1]['number']}".encode()).decode(),
            "after": lambda: str(next((row["id"] for row in reversed(window) if not row["hidden"]), window[-1]["id"])),
        }[world.family]()
        return urlencode(rest | {world.place: place})

    def facts(self, items, more, size):
        world, facts = self.world, {}
        seen, rows = len(world.visible()), len(world.rows)
        totals = {"right": seen, "rows": rows, "5 high": seen + 5, "huge": 100_000, "page": len(items)}
        if world.total in totals:
            facts["total"] = totals[world.total]
        flags = {"right": more, "full": len(items) == size, "true": True}
        if world.flag in flags:
            facts["has_more"] = flags[world.flag]
        return facts


def item(row):
    return {name: row[name] for name in ("id", "created", "name")}


if __name__ == "__main__":
    # Serves the list of a seed for a try by hand.
    served = DrawnList(draw(int(sys.argv[1])))
    print(served.world, f"at http://127.0.0.1:{served.port}/things", flush=True)
    threading.Event().wait()
