"""Walks a list like an old client with page numbers, by the unchanged links of the upstream.

    python old.py link|body URL

`link` follows `response.links`; `body` follows the member `next` of Django REST framework. Prints the ids.
"""

import json
import sys

import requests

session = requests.Session()
session.trust_env = False
style, url = sys.argv[1:]
ids = []
while url:
    response = session.get(url, timeout=60)
    response.raise_for_status()
    body = response.json()
    ids += [item["id"] for item in (body if style == "link" else body["results"])]
    url = response.links.get("next", {}).get("url") if style == "link" else body["next"]
json.dump(ids, sys.stdout)
