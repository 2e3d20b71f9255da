"""Memory: the resident size at rest, with many idle connections, with many pages in flight, and after much load; and
the size after memory was given back. Bare Pingora is measured in the same states where they apply."""

import contextlib
import socket
import statistics
import subprocess
import threading
import time

import servers
from machine import WORK
from report import Report, amount

MB = 1e6
# Slow clients use the smallest buffers and segments, so that their answers wait in the proxy.
RECEIVE_BUFFER, SEGMENT = 4_096, 1_460
# The bytes that a slow client reads at once, and its reads per second. The product is a few times the rate below which
# the gateway closes a connection.
SLOWLY, OFTEN = 4_096, 5
# The number of pages that are requested after many connections have closed.
A_FEW = 10
# The seconds after which the gateway must have given back unused memory.
GIVES_BACK = 1


def connected(port, patient=True):
    connection = socket.socket()
    if not patient:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", port))
    return connection


def ask(connection, target):
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())


class Answer:
    """An answer that is read in pieces, up to its Content-Length."""

    def __init__(self, connection):
        self.connection, self.head, self.length, self.missing = connection, b"", 0, 1

    def is_whole(self):
        return self.missing == 0

    def take(self, most, flags=0):
        piece = self.connection.recv(most, flags)
        assert piece, "the connection ended within an answer"
        if self.length:
            self.missing -= len(piece)
            return
        self.head += piece
        head, separator, body = self.head.partition(b"\r\n\r\n")
        if separator:
            lines = head.decode("latin-1").split("\r\n")
            assert lines[0].startswith("HTTP/1.1 200"), lines[0]
            self.length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:"))
            self.missing = self.length - len(body)


def read(connection):
    """Reads a whole answer. Returns the length of its body."""
    answer = Answer(connection)
    while not answer.is_whole():
        answer.take(1 << 20)
    return answer.length


def take_in_turn(answers, most):
    """Reads at most `most` bytes of each answer, without waiting for them."""
    for answer in answers:
        with contextlib.suppress(BlockingIOError):
            answer.take(most, socket.MSG_DONTWAIT)


def is_open(connection):
    """Returns whether the other side has neither sent more bytes nor closed the connection."""
    connection.setblocking(False)
    try:
        connection.recv(1)
        return False
    except BlockingIOError:
        return True


def idle(process, target, count, still):
    """Returns the bytes with `count` idle connections, each of which has had an answer, and the bytes after they were
    closed and a few more pages were requested: an allocator gives freed memory back only at its next use."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connected(process.port)) for _ in range(count)]
        for connection in connections:
            ask(connection, target)
            read(connection)
        held = process.settled(still)
        assert all(map(is_open, connections)), "idle connections were closed before they were measured"
    process.settled(still)
    for _ in range(A_FEW):
        with connected(process.port) as connection:
            ask(connection, target)
            read(connection)
    return held, process.settled(still + GIVES_BACK)


def in_flight(process, target, count, least, still):
    """Returns the bytes while `count` clients slowly read a page of a megabyte, and the bytes after these clients have
    read their pages and closed their connections."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connected(process.port, patient=False)) for _ in range(count)]
        for connection in connections:
            ask(connection, target)
        answers = [Answer(connection) for connection in connections]
        with reading_slowly(answers):
            held = process.settled(still)
        while waiting := [answer for answer in answers if not answer.is_whole()]:
            take_in_turn(waiting, 1 << 20)
        assert all(answer.length > least for answer in answers)
    return held, process.settled(still + GIVES_BACK)


@contextlib.contextmanager
def reading_slowly(answers):
    """Reads all answers in a thread, slightly faster than the gateway demands."""
    ended = threading.Event()

    def reads():
        while not ended.wait(1 / OFTEN):
            take_in_turn(answers, SLOWLY)

    reader = threading.Thread(target=reads)
    reader.start()
    try:
        yield
    finally:
        ended.set()
        reader.join()


# Each connection requests all sizes in turn.
ROTATE = """
local targets = {{ {targets} }}
local at = 0
request = function()
  at = at % #targets + 1
  return wrk.format("GET", targets[at])
end
"""


def under_load(process, targets, seconds, still):
    """Returns the bytes at each half second while 32 connections request all targets in turn, the number of requests,
    and the bytes after the load."""
    script = WORK / "rotate.lua"
    script.write_text(ROTATE.format(targets=", ".join(f'"{target}"' for target in targets)))
    url = f"http://127.0.0.1:{process.port}"
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    seen = []
    while child.poll() is None:
        seen.append(process.resident())
        time.sleep(0.5)
    said = child.stdout.read()
    assert child.returncode == 0 and "Non-2xx" not in said, said
    requests = next(int(line.split()[0]) for line in said.splitlines() if " requests in " in line)
    return seen, requests, process.settled(still + GIVES_BACK)


def run(plan):
    upstream = servers.upstream()
    starts = {"cursorgate": servers.cursorgate, "bare-pingora": servers.bare_pingora}
    targets = {"cursorgate": ("/5k-standard", "/1m-standard"), "bare-pingora": ("/5k", "/1m")}
    states = ("idle", "connections", "closed", "in-flight", "read")
    measured = {name: {state: [] for state in states} for name in starts}
    for number in range(1 if plan.quick else 3):
        for name, begin in starts.items():
            process, of = begin(upstream), measured[name]
            small, large = targets[name]
            of["idle"].append(process.settled(plan.still))
            held, closed = idle(process, small, plan.idle, plan.still)
            of["connections"].append(held)
            of["closed"].append(closed)
            process.stop()
            process = begin(upstream)
            held, after = in_flight(process, large, plan.in_flight, 900_000, plan.still)
            of["in-flight"].append(held)
            of["read"].append(after)
            process.stop()
            print(f"  {name}: round {number + 1}", flush=True)
    process = servers.cursorgate(upstream)
    all_targets = [f"/{size}-{envelope}" for size in servers.SIZES for envelope in servers.ENVELOPES] + ["/forward/100k"]
    load = under_load(process, all_targets, plan.load, plan.still)
    process.stop()
    upstream.stop()
    return reported(plan, measured, load)


def reported(plan, measured, load):
    report = Report()
    report.title("Memory")
    report.say("Resident size of the process, MB; one worker thread each.")
    heads = {
        "idle": "started",
        "connections": f"{plan.idle:,} idle connections",
        "closed": "after they closed",
        "in-flight": f"{plan.in_flight:,} pages of 1 MB in flight",
        "read": "after they were read",
    }
    rows = []
    for name, states in measured.items():
        for state, values in states.items():
            report.measured(f"rss/{name}/{state}", "MB", [value / MB for value in values])
        grown = [(held - before) / plan.idle / 1e3 for held, before in zip(states["connections"], states["idle"])]
        each = report.measured(f"rss/{name}/idle-connection", "KB", grown)
        cells = [amount(statistics.median(states[state]) / MB) for state in heads]
        rows.append(["cursorgate" if name == "cursorgate" else "bare Pingora", *cells, amount(each)])
    report.table(["", *heads.values(), "KB a connection"], rows)
    seen, requests, after = load
    # After the first quarter, everything that grows only once has grown.
    warm = max(seen[: max(1, len(seen) // 4)])
    late = seen[-max(1, len(seen) // 4) :]
    report.measured("rss/cursorgate/under-load", "MB", [value / MB for value in late])
    report.measured("rss/cursorgate/after-load", "MB", [after / MB])
    report.say(
        f"Load: {requests:,} requests in {plan.load} s for pages of all sizes and envelopes in turn, as many as an hour at "
        f"{requests / 3_600:,.0f} requests a second. At most {amount(warm / MB)} MB in its first quarter, "
        f"{amount(statistics.median(late) / MB)} MB in its last, {amount(after / MB)} MB after it."
    )
    ours, bare = measured["cursorgate"], measured["bare-pingora"]
    report.compared("rss/10k-idle-to-bare-pingora", ours["connections"], bare["connections"])
    report.compared("rss/closed-to-connections", ours["closed"], ours["connections"])
    report.compared("rss/in-flight-to-bare-pingora", ours["in-flight"], bare["in-flight"])
    report.compared("rss/read-to-in-flight", ours["read"], ours["in-flight"])
    report.compared("rss/load-last-to-first-quarter", late, [warm] * len(late))
    return report
