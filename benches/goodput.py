"""Measures the goodput of a list at up to ten times what its service can do, without any limit in the configuration.

    python3 benches/goodput.py target/release/cursorgate

The service works on 8 requests at once, each for 160 ms: 50 a second. Requests come at a fixed rate, whether they are
answered or not (an open loop). An answer is useful within a second. The second table has one client with five times the
load that the service can do, beside ten clients with one request a second each. The first
three seconds, in which the limit adapts itself, aren't counted.
"""

import asyncio
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time

WORKERS, TIME, CAPACITY = 8, 0.16, 50
SECONDS, START = 8, 3

CONFIGURATION = """version = 1
[listeners.main]
address = "127.0.0.1:{port}"
[server]
public_url = "http://127.0.0.1:{port}"
connections_per_address = 9000
[log]
access = "off"
[cursor]
signing_key = 1
keys = {{ 1 = "env:GOODPUT_KEY" }}
[upstreams.legacy]
peers = ["127.0.0.1:{upstream}"]
[routes.users]
path = "/users"
upstream = "legacy"
dialect = "counted"
old_clients = "none"
order = ["id"]
[dialects.counted]
request = {{ query = "offset={{offset}}&limit={{size}}" }}
response = {{ items = "/items", total = "/total", end = "short-page" }}
"""


class Service:
    def __init__(self):
        self.workers = asyncio.Semaphore(WORKERS)

    async def answer(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                asked = dict(re.findall(rb"[?&](offset|limit)=(\d+)", head))
                first, size = int(asked.get(b"offset", 0)), int(asked.get(b"limit", 20))
                async with self.workers:
                    await asyncio.sleep(TIME)
                items = [{"id": index + 1} for index in range(first, min(first + size, 1000))]
                body = json.dumps({"items": items, "total": 1000}).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


class Clients:
    """Requests of one client over kept connections."""

    def __init__(self, port, name):
        self.port, self.name, self.idle = port, name, []
        self.sent = self.useful = self.late = self.refused = 0
        self.times = []

    async def request(self, is_counted):
        began = time.monotonic()
        try:
            reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
            head = f"GET /users?limit=5 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.name}\r\n\r\n"
            writer.write(head.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head)[1]))
            status = int(head.split()[1])
            self.idle.append((reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            status = 0
        took = time.monotonic() - began
        if is_counted:
            self.sent += 1
            if status != 200:
                self.refused += 1
            else:
                self.times.append(took)
                if took <= 1:
                    self.useful += 1
                else:
                    self.late += 1

    async def send(self, rate):
        began, tasks = time.monotonic(), []
        for index in range(rate * SECONDS):
            at = began + index / rate
            if (wait := at - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(self.request(index >= rate * START)))
        await asyncio.gather(*tasks)
        for _, writer in self.idle:
            writer.close()

    def row(self):
        seconds, times = SECONDS - START, sorted(self.times)
        half = f"{times[len(times) // 2] * 1000:.0f} ms" if times else "–"
        return f"{self.useful / seconds:.0f} | {half} | {self.late / seconds:.0f} | {self.refused / seconds:.0f}"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


async def gateway(program, upstream):
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False) as file:
        file.write(CONFIGURATION.format(port=port, upstream=upstream))
    environment = {**os.environ, "GOODPUT_KEY": secrets.token_urlsafe(32)}
    process = subprocess.Popen([program, "run", "--config", file.name], env=environment, stderr=subprocess.DEVNULL)
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return process, port
        except OSError:
            await asyncio.sleep(0.1)


async def serve():
    """Runs the service until the process ends, and writes its port."""
    server = await asyncio.start_server(Service().answer, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def main(program):
    # The service has a process of its own, so that a crowd of clients doesn't slow it down.
    service = subprocess.Popen([sys.executable, __file__, "--service"], stdout=subprocess.PIPE)
    upstream = int(service.stdout.readline())
    print("| load | useful a second | half within | late | refused |\n| --- | ---: | ---: | ---: | ---: |")
    for load in (0.5, 1, 2, 5, 10):
        process, port = await gateway(program, upstream)
        clients = Clients(port, "one")
        await clients.send(int(CAPACITY * load))
        print(f"| {load}× | {clients.row()} |", flush=True)
        process.terminate()
        process.wait()
    process, port = await gateway(program, upstream)
    hot, others = Clients(port, "hot"), [Clients(port, f"other{index}") for index in range(10)]
    await asyncio.gather(hot.send(CAPACITY * 5), *(other.send(1) for other in others))
    useful, sent = sum(other.useful for other in others), sum(other.sent for other in others)
    print(f"\nbeside a client with 5×, the others got {useful} of {sent} within a second, and it {hot.row()}")
    for ended in (process, service):
        ended.terminate()
        ended.wait()


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1] == "--service" else main(sys.argv[1]))
