"""Walks a list with rate limits, in two ways that obey the gateway's headers.

    python polite.py retry|fields URL [BASE]

With a BASE, every other request goes to this URL of another process. `retry` lets urllib3 repeat refused requests after
`Retry-After`. `fields` reads `RateLimit`, and sends no request that would be refused. Prints the ids, and the number of
refused requests.
"""

import json
import sys
import time

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

style, url, *others = sys.argv[1:]
bases = [url, *others]
session = requests.Session()
session.trust_env = False
if style == "retry":
    retry = Retry(total=20, backoff_factor=0, status_forcelist=[429], respect_retry_after_header=True)
    session.mount("http://", HTTPAdapter(max_retries=retry))


def exhausted(field):
    """Returns the seconds until the reset of each limit that is used up."""
    for item in field.split(","):
        _, *parameters = item.strip().split(";")
        values = dict(parameter.split("=") for parameter in parameters)
        if int(values["r"]) == 0:
            yield int(values["t"])


ids, refused, turn = [], 0, 0
while url:
    path = requests.compat.urlparse(url)
    url = requests.compat.urljoin(bases[turn % len(bases)], f"{path.path}?{path.query}")
    turn += 1
    response = session.get(url, timeout=60)
    refused += len(response.raw.retries.history) if style == "retry" else response.status_code == 429
    response.raise_for_status()
    ids += [item["id"] for item in response.json()["data"]]
    url = requests.compat.urljoin(url, response.links["next"]["url"]) if "next" in response.links else None
    if style == "fields":
        time.sleep(max(exhausted(response.headers["RateLimit"]), default=0))
json.dump({"ids": ids, "refused": refused}, sys.stdout)
