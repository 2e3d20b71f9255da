"""Reads a list to its end, using only the standard library.

    python3 walk.py 'https://api.example.com/users?cursor=start&limit=100'

Writes each item as a line to standard output, and the number of items to standard error.
"""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal

ATTEMPTS = 5


class Refused(Exception):
    """An answer that isn't a page: a problem document of the gateway, or an error of a proxy in front of it."""

    def __init__(self, status, problem):
        super().__init__(f"{status} {problem.get('code', '')}: {problem.get('detail', '')}")
        self.code = problem.get("code")
        self.restart = problem.get("restart")


def fetch(url):
    """Returns the page at a URL. Repeats requests that may succeed later."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer, parse_float=Decimal)
        except urllib.error.HTTPError as answer:
            with answer:
                try:
                    problem = json.load(answer)
                except ValueError:
                    problem = {}
            if not isinstance(problem, dict):
                problem = {}
            if attempt == ATTEMPTS or not problem.get("retryable", answer.code in (429, 502, 503, 504)):
                raise Refused(answer.code, problem) from None
            seconds = answer.headers.get("Retry-After", "")
            time.sleep(int(seconds) if seconds.isdecimal() else 2 ** (attempt - 1))


def pages(url, cursor=None):
    """Yields the pages of a list, from a cursor or from the start."""
    separator = "&" if urllib.parse.urlsplit(url).query else "?"
    while True:
        place = f"{separator}{urllib.parse.urlencode({'cursor': cursor})}" if cursor else ""
        page = fetch(url + place)
        yield page
        cursor = page["pagination"]["nextCursor"]
        if cursor is None:
            return


def main():
    count = 0
    try:
        for page in pages(sys.argv[1]):
            for item in page["data"]:
                print(json.dumps(item, default=float, ensure_ascii=False, separators=(",", ":")))
            count += len(page["data"])
    except Refused as refused:
        again = f"\nBegin again: {refused.restart}" if refused.restart else ""
        sys.exit(f"{refused}{again}")
    print(f"{count} items", file=sys.stderr)


if __name__ == "__main__":
    main()
