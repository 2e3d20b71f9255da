"""A legacy list service with its own PostgreSQL server, on free ports.

    python service.py [--rows N] [--index] [--uncounted] [--collation NAME]

`GET /items?page=N&per_page=M` counts the items and selects a page in two statements, as web frameworks do. A page has
at most 500 items. `sort=created_at` reverses the list; `created_at__gte=`, `__gt`, `__lte` and `__lt` filter it. The
list is sorted only by `created_at` in microseconds, of which answers show milliseconds. Forty items share each
timestamp, and their order isn't defined. `GET /items/ID` returns one item. `POST /changes` inserts, deletes, moves and
edits items: [["insert", "TIME"], ["insert", "TIME", "NAME"], ["delete", ID], ["move", ID, "TIME"], ["edit", ID]].
`GET /all` returns the ids and timestamps of all items without an order.

`--index` adds an index for the order. `--uncounted` leaves out the total, so the cost of a page depends only on its
depth. `--collation` sorts by the name, compared as binary, language or insensitive text, and then by the id; parameters
don't sort or filter then.

Prints `port N` once it listens. The process ends, and removes its database in a temporary directory, when its standard
input is closed. PostgreSQL refuses to run as root: if root starts the service, it runs as the user postgres or nobody.
"""

import argparse
import contextlib
import glob
import http.server
import json
import os
import pwd
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
from urllib.parse import parse_qsl, urlsplit

import psycopg

# The number of rows that share a timestamp, and the number of timestamps in a millisecond.
TIE_RUN = 40
TIMES_A_MILLISECOND = 3
MOST = 500

SHOWN = """to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
ITEM = f"id, {SHOWN} as created_at, name, edits"
COLLATIONS = {"binary": '"C"', "language": '"de-x-icu"', "insensitive": "insensitive"}
WORDS = "Zoe adam Berta cäsar Äpfel dora-lee Dora emil von-Holt Vonberg O'Brien obrecht Straße strasse".split()
OPERATORS = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}


def program(name):
    """Returns the path of a program of the PostgreSQL server: in PATH, or in Debian's folder."""
    found = shutil.which(name)
    installed = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    if not found and not installed:
        sys.exit(f"{name} is not installed: `make test-env` installs PostgreSQL")
    return found or installed[-1]


def account():
    """Returns options that run the server as another user if this process runs as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    sys.exit("PostgreSQL does not run as root, and there is neither postgres nor nobody")


class Server:
    """A PostgreSQL server with its socket and data in a temporary directory."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="cursorgate-")
        run_as = account()
        if run_as:
            os.chown(self.directory, run_as["user"], run_as["group"])
        data = os.path.join(self.directory, "data")
        initialise = [program("initdb"), "--auth=trust", "--username=legacy", "--encoding=UTF8", "--no-sync", data]
        subprocess.run(initialise, check=True, stdout=subprocess.DEVNULL, cwd=self.directory, **run_as)
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.directory}"]
        options += ["-c", "fsync=off", "-c", "max_connections=100", "-c", "log_min_messages=panic"]
        command = [program("postgres"), "-D", data, *options]
        self.process = subprocess.Popen(command, stdout=sys.stderr, cwd=self.directory, **run_as)
        self.address = f"host={self.directory} user=legacy dbname=postgres"
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.address).close()
                return
            if self.process.poll() is not None:
                sys.exit("PostgreSQL did not start")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def fill(connection):
    connection.execute(
        """create table items (id bigserial primary key, created_at timestamptz not null, name text not null,
           edits integer not null default 0)"""
    )
    # The rows are inserted in a random order, so that neither ids nor ties follow the time.
    connection.execute(
        """insert into items (created_at, name)
           select timestamptz '2026-01-01 00:00:00+00'
                  + (number / %(run)s / %(times)s) * interval '1 millisecond'
                  + (number / %(run)s %% %(times)s) * interval '137 microseconds',
                  'item ' || number
           from generate_series(0, %(rows)s - 1) number order by md5(number::text)""",
        {"rows": options.rows, "run": TIE_RUN, "times": TIMES_A_MILLISECOND},
    )
    if options.collation:
        # With this collation, texts with different bytes can be equal.
        connection.execute(
            """create collation insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"""
        )
        connection.execute(
            "update items set name = (%s::text[])[1 + id %% 14] || ' ' || (id * 7919) %% 89", [WORDS]
        )
        connection.execute("update items set name = upper(name) where id % 5 = 0")
    if options.index:
        connection.execute("create index on items (created_at)")
    connection.execute("vacuum analyze items")


local = threading.local()


def database():
    """Returns this thread's connection."""
    if not hasattr(local, "connection"):
        local.connection = psycopg.connect(server.address, autocommit=True)
    return local.connection


def listed(query):
    conditions, values = [], []
    for name, value in query.items():
        field, _, operator = name.partition("__")
        if field == "created_at" and operator in OPERATORS:
            conditions.append(f"created_at {OPERATORS[operator]} %s::timestamptz")
            values.append(value)
    where = " where " + " and ".join(conditions) if conditions else ""
    direction = "asc" if query.get("sort") == "created_at" else "desc"
    size = max(1, min(MOST, int(query.get("per_page", 20))))
    offset = (max(1, int(query.get("page", 1))) - 1) * size
    total = "null"
    if not options.uncounted:
        total = database().execute(f"select count(*) from items{where}", values).fetchone()[0]
    order = f"items.created_at {direction}"
    if options.collation:
        where, values, order = "", [], f"items.name collate {COLLATIONS[options.collation]}, items.id"
    rows = f"select {ITEM} from items{where} order by {order}"
    sliced = f"select coalesce(json_agg(row_to_json(slice)), '[]')::text from ({rows} limit %s offset %s) slice"
    items = database().execute(sliced, [*values, size, offset]).fetchone()[0]
    return f'{{"items":{items},"total":{total}}}'


def one(item):
    """Returns an item as JSON, or None if it doesn't exist."""
    row = database().execute(f"select row_to_json(row)::text from (select {ITEM} from items where id = %s) row", [item])
    found = row.fetchone()
    return found and found[0]


def change(changes):
    for what, *details in changes:
        match what:
            case "insert":
                time, name = (*details, "new")[:2]
                database().execute("insert into items (created_at, name) values (%s, %s)", [time, name])
            case "delete":
                database().execute("delete from items where id = %s", details)
            case "move":
                database().execute("update items set created_at = %s where id = %s", details[::-1])
            case "edit":
                database().execute("update items set edits = edits + 1 where id = %s", details)
    return "{}"


def everything():
    rows = f"select json_agg(json_build_array(id, {SHOWN}))::text from items"
    return database().execute(rows).fetchone()[0]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, respond):
        try:
            status, body = 200, respond()
        except (psycopg.Error, ValueError) as fault:
            status, body = 400, json.dumps({"error": str(fault)})
        if body is None:
            status, body = 404, "{}"
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/all":
            self.answer(everything)
        elif url.path.startswith("/items/"):
            self.answer(lambda: one(int(url.path.removeprefix("/items/"))))
        else:
            self.answer(lambda: listed(dict(parse_qsl(url.query))))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(lambda: change(json.loads(body)))

    def log_message(self, *_):
        pass


class Service(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


arguments = argparse.ArgumentParser()
arguments.add_argument("--rows", type=int, default=20_000)
arguments.add_argument("--index", action="store_true")
arguments.add_argument("--uncounted", action="store_true")
arguments.add_argument("--collation", choices=COLLATIONS)
options = arguments.parse_args()
server = Server()
try:
    fill(database())
    service = Service(("127.0.0.1", 0), Handler)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    print(f"port {service.server_address[1]}", flush=True)
    sys.stdin.read()
finally:
    server.stop()
