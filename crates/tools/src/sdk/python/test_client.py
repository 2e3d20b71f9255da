"""Tests of the client, with answers in the form that the server writes."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import unittest
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from {package} import ApiError, Client, InvalidPageError, Listing


@dataclass(frozen=True)
class Sample:
    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Case:
    """A list: the call that reads it, the places of cursor and limit in its requests, and samples of its answers."""

    name: str
    call: Callable[[Client, Mapping[str, Any]], Listing[Any]]
    cursor: tuple[str, Sequence[str]]
    limit: tuple[str, Sequence[str]] | None
    path: str
    first: Sample
    last: Sample
    expired: Sample
    busy: Sample


CASES: Sequence[Case] = [
{cases}
]


@dataclass(frozen=True)
class Seen:
    path: str
    query: Mapping[str, Sequence[str]]
    prefer: str
    body: Any

    def value(self, given: tuple[str, Sequence[str]]) -> str | None:
        place, name = given
        if place == "query":
            return next(iter(self.query.get(name[0], [])), None)
        if place == "prefer":
            found = re.search(name[0] + r"=(\d+)", self.prefer)
            return found[1] if found else None
        value = self.body
        for one in name:
            value = value.get(one) if isinstance(value, dict) else None
        return None if value is None else str(value)


@contextmanager
def serve(*answers: Sample) -> Iterator[tuple[str, list[Seen]]]:
    """Runs a server that sends these answers in order. Yields its URL and the list of the requests that it has seen."""
    seen: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            length = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(length)) if length else None
            query = urllib.parse.parse_qs(url.query)
            seen.append(Seen(urllib.parse.unquote(url.path), query, self.headers.get("Prefer", ""), body))
            answer = answers[len(seen) - 1] if len(seen) <= len(answers) else Sample(500, {}, "one request too many")
            content = answer.body.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = answer
        do_POST = answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class ClientTest(unittest.TestCase):
    def test_lists_are_read_to_their_ends(self) -> None:
        for case in CASES:
            with self.subTest(case.name), serve(case.first, case.last) as (url, seen):
                items = list(case.call(Client(url), {"limit": 2} if case.limit else {}))
                self.assertEqual(len(items), 3)
                self.assertNotIn(None, items)
                self.assertEqual([one.value(case.cursor) for one in seen], ["start", "second"])
                self.assertEqual([one.path for one in seen], [case.path, case.path])
                if case.limit is not None:
                    self.assertEqual([one.value(case.limit) for one in seen], ["2", "2"])

    def test_lists_are_read_by_tasks(self) -> None:
        async def walk(listing: Listing[Any]) -> list[Any]:
            return [item async for item in listing]

        for case in CASES:
            with self.subTest(case.name), serve(case.first, case.busy, case.last) as (url, seen):
                self.assertEqual(len(asyncio.run(walk(case.call(Client(url), {})))), 3)
                self.assertEqual(len(seen), 3)

    def test_lists_go_on_from_a_page(self) -> None:
        for case in CASES:
            with self.subTest(case.name), serve(case.first, case.last) as (url, _):
                client = Client(url)
                first = case.call(client, {}).page()
                self.assertEqual((len(first.items), first.next), (2, "second"))
                last = case.call(client, {"cursor": first.next}).page()
                self.assertEqual((len(last.items), last.next), (1, None))

    def test_the_client_waits_as_long_as_it_is_asked_to_up_to_a_bound(self) -> None:
        for case in CASES:
            with self.subTest(case.name), serve(case.busy, case.last) as (url, seen):
                self.assertEqual(len(case.call(Client(url), {}).page().items), 1)
                self.assertEqual(len(seen), 2)
            long = Sample(case.busy.status, {**case.busy.headers, "Retry-After": "3600"}, case.busy.body)
            with self.subTest(case.name), serve(long) as (url, seen):
                with self.assertRaises(ApiError) as caught:
                    case.call(Client(url), {}).page()
                error = caught.exception
                self.assertEqual((error.status, error.code, error.retry_after), (429, "rate_limited", 3600))
                self.assertEqual(len(seen), 1)
            with self.subTest(case.name), serve(case.busy) as (url, _), self.assertRaises(ApiError):
                case.call(Client(url, retries=0), {}).page()

    def test_the_client_does_not_begin_again_by_itself(self) -> None:
        for case in CASES:
            with self.subTest(case.name), serve(case.first, case.expired) as (url, seen):
                items: list[Any] = []
                with self.assertRaises(ApiError) as caught:
                    for item in case.call(Client(url), {}):
                        items.append(item)
                error = caught.exception
                self.assertEqual((error.status, error.code), (410, "cursor_expired"))
                self.assertTrue(error.detail)
                self.assertEqual(error.request_id, "request-1")
                self.assertEqual((len(items), len(seen)), (2, 2))

    def test_no_page_leads_to_itself_and_pages_alone_are_read(self) -> None:
        for case in CASES:
            with self.subTest(case.name), serve(case.first) as (url, _), self.assertRaises(InvalidPageError):
                case.call(Client(url), {"cursor": "second"}).page()
            with self.subTest(case.name), serve(Sample(200, {}, "<html>")) as (url, _):
                with self.assertRaises(InvalidPageError):
                    case.call(Client(url), {}).page()

    def test_answers_that_do_not_say_whether_more_follow_are_refused(self) -> None:
        for case in CASES:
            page = json.loads(case.last.body)
            if isinstance(page, dict):
                page = dict([(name, value) for name, value in page.items() if isinstance(value, list)][:1])
            bare = Sample(200, {"Content-Type": "application/json"}, json.dumps(page))
            with self.subTest(case.name), serve(bare) as (url, _), self.assertRaises(InvalidPageError):
                list(case.call(Client(url), {}))


if __name__ == "__main__":
    unittest.main()
