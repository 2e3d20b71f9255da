"""Walks a list through the gateway to its end and back to its start, and compares it with the upstream's own listing.

    python walk.py --upstream URL --kind json-server|django --gateway URL --style links|cursor --limit N [--limit N]

`links` follows `response.links` of the requests library; `cursor` sends `nextCursor` and `prevCursor` back. Prints the
differences and exits with status 1, or prints one line for each limit.
"""

import argparse
import json
import sys
from urllib.parse import urljoin

import requests

ORDER = {
    "json-server": {"_sort": "created_at,id", "_order": "desc,asc"},
    "django": {"ordering": "-created_at,id"},
}
BLANKS = " \t\r\n"
# Numbers are kept as text, because this program compares spellings, not values.
decoder = json.JSONDecoder(parse_float=str, parse_int=str)


class Failure(Exception):
    """A promise of the gateway to its clients that was broken."""


def skip(text, at):
    while text[at] in BLANKS:
        at += 1
    return at


def members(text, at=0):
    """Yields (key, start, end) for each member of the object that begins at `at`."""
    at = skip(text, at + 1)
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        start = skip(text, skip(text, at) + 1)
        _, end = decoder.raw_decode(text, start)
        yield key, start, end
        at = skip(text, end)
        if text[at] == ",":
            at = skip(text, at + 1)


def elements(text, at=0):
    """Yields the exact text of each element of the array that begins at `at`."""
    at = skip(text, at + 1)
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        yield text[at:end]
        at = skip(text, end)
        if text[at] == ",":
            at = skip(text, at + 1)


def array(text, member=None):
    """Returns the exact texts of the elements of the body, or of the array in one of its members."""
    start = skip(text, 0)
    if member is not None:
        found = [place for key, place, _ in members(text, start) if key == member]
        if len(found) != 1:
            raise Failure(f"{len(found)} members {member!r} in {text[:200]}")
        start = found[0]
    return list(elements(text, start))


def identity(item):
    return json.loads(item)["id"]


def fetch(session, url, **parameters):
    response = session.get(url, params=parameters or None, timeout=60)
    if response.status_code != 200:
        raise Failure(f"{response.request.url}\n  answers {response.status_code}: {response.text[:500]}")
    return response


def listing(session, url, kind):
    """Returns the whole list from the upstream itself."""
    if kind == "json-server":
        return array(fetch(session, url, **ORDER[kind]).content.decode())
    items, page = [], 1
    while True:
        response = fetch(session, url, **ORDER[kind], page=page, page_size=100)
        items += array(response.content.decode(), "results")
        if response.json()["next"] is None:
            return items
        page += 1


class Links:
    """Walks by the links in the `Link` header."""

    def __init__(self, session, url, limit):
        self.session, self.url, self.limit = session, url, limit

    def first(self):
        return fetch(self.session, self.url, limit=self.limit)

    def follow(self, response, relation):
        link = response.links.get(relation)
        return link and fetch(self.session, urljoin(response.url, link["url"]))


class Cursors:
    """Walks by `nextCursor` and `prevCursor` in the body."""

    def __init__(self, session, url, limit):
        self.session, self.url, self.limit = session, url, limit

    def first(self):
        return fetch(self.session, self.url, limit=self.limit)

    def follow(self, response, relation):
        cursor = response.json()["pagination"][{"next": "nextCursor", "prev": "prevCursor"}[relation]]
        return cursor and fetch(self.session, self.url, limit=self.limit, cursor=cursor)


def page_of(response, expected, relation):
    body = response.json()
    items = array(response.content.decode(), "data")
    pagination, links = body["pagination"], body["links"]
    where = response.request.url
    for name, cursor, link in [("next", "nextCursor", "next"), ("prev", "prevCursor", "prev")]:
        told = {pagination[cursor] is not None, links[link] is not None, name in response.links}
        if len(told) != 1:
            raise Failure(f"{where}\n  body and Link line disagree on {name}: {pagination} {links} {response.links}")
        if name in response.links and urljoin(response.url, response.links[name]["url"]) != urljoin(where, links[link]):
            raise Failure(f"{where}\n  body and Link line name different pages as {name}")
    if pagination["hasMore"] != (pagination["nextCursor"] is not None):
        raise Failure(f"{where}\n  hasMore is not whether there is a next page: {pagination}")
    if pagination["total"] != len(expected):
        raise Failure(f"{where}\n  total is {pagination['total']}, the list has {len(expected)} items")
    if response.headers.get("Cursorgate-Level") != "exact":
        raise Failure(f"{where}\n  level is {response.headers.get('Cursorgate-Level')}, not exact")
    if len(items) > pagination["pageSize"]:
        raise Failure(f"{where}\n  {len(items)} items on a page of {pagination['pageSize']}")
    if len(items) < pagination["pageSize"] and links[relation] is not None:
        raise Failure(f"{where}\n  {len(items)} items on a page of {pagination['pageSize']} that is not the last")
    return items


def compare(direction, limit, walked, expected):
    if walked == expected:
        return
    here, there = [identity(item) for item in walked], [identity(item) for item in expected]
    if here != there:
        at = next((i for i, (a, b) in enumerate(zip(here, there)) if a != b), min(len(here), len(there)))
        raise Failure(
            f"limit {limit}, {direction}: {len(here)} ids walked, {len(there)} listed; the first difference is at {at}:\n"
            f"  walked {here[max(0, at - 3):at + 5]}\n  listed {there[max(0, at - 3):at + 5]}"
        )
    at = next(i for i, (a, b) in enumerate(zip(walked, expected)) if a != b)
    raise Failure(f"limit {limit}, {direction}: item {at} is not the upstream's bytes:\n  {walked[at]!r}\n  {expected[at]!r}")


def walk(walker, limit, expected):
    most = len(expected) // limit + 2
    response, items, pages = walker.first(), [], 0
    while response:
        items += page_of(response, expected, "next")
        pages += 1
        if pages > most:
            raise Failure(f"limit {limit}, forward: more than {most} pages for {len(expected)} items")
        last, response = response, walker.follow(response, "next")
    compare("forward", limit, items, expected)
    forward = pages

    response, items, pages = last, page_of(last, expected, "next"), 1
    while response := walker.follow(response, "prev"):
        items = page_of(response, expected, "prev") + items
        pages += 1
        if pages > most:
            raise Failure(f"limit {limit}, back: more than {most} pages for {len(expected)} items")
    compare("back", limit, items, expected)
    return forward, pages


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--upstream", required=True)
    arguments.add_argument("--kind", required=True, choices=ORDER)
    arguments.add_argument("--gateway", required=True)
    arguments.add_argument("--style", required=True, choices=["links", "cursor"])
    arguments.add_argument("--limit", required=True, type=int, action="append")
    said = arguments.parse_args()

    session = requests.Session()
    session.trust_env = False
    style = {"links": Links, "cursor": Cursors}[said.style]
    try:
        expected = listing(session, said.upstream, said.kind)
        for limit in said.limit:
            forward, back = walk(style(session, said.gateway, limit), limit, expected)
            print(f"limit {limit}: {len(expected)} items in {forward} pages forward, {back} back")
    except Failure as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
