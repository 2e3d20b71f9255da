"""Walks a list by `response.links`, as the documentation of requests shows. Every URL is used unchanged.

    python follow.py URL [CERTIFICATE]

Prints the ids of the walks forward and back, and the ids of the page at the `restart` link of a refused cursor.
"""

import json
import sys

import requests

session = requests.Session()
session.trust_env = False
if len(sys.argv) > 2:
    session.verify = sys.argv[2]


def get(url, **parameters):
    response = session.get(url, params=parameters or None, timeout=60)
    response.raise_for_status()
    return response


def ids(response):
    return [item["id"] for item in response.json()["data"]]


def walk(response, relation):
    pages = [ids(response)]
    while relation in response.links:
        link = response.links[relation]["url"]
        if link != response.json()["links"][relation]:
            sys.exit(f"{link} in Link, {response.json()['links']} in the body")
        response = get(link)
        pages.append(ids(response))
    return response, pages


last, forward = walk(get(sys.argv[1], limit=20), "next")
_, back = walk(last, "prev")
refused = session.get(sys.argv[1], params={"limit": 20, "cursor": "none"}, timeout=60)
restart = get(refused.json()["restart"])
# An old request is redirected by `Location`.
redirected = get(sys.argv[1], offset=40)
json.dump(
    {
        "forward": sum(forward, []),
        "back": sum(reversed(back), []),
        "restart": ids(restart),
        "redirected": ids(redirected),
        "next": forward and get(sys.argv[1], limit=20).links["next"]["url"],
    },
    sys.stdout,
)
