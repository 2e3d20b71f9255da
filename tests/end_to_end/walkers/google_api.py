"""Walks a list with the page iterator of Google's client libraries, which can't walk back.

    python google_api.py BASE LIMIT
"""

import json
import sys

import requests
from google.api_core.page_iterator import HTTPIterator

base, limit = sys.argv[1:3]
session = requests.Session()


def api_request(method, path, query_params):
    response = session.request(method, base + path, params=query_params, timeout=60)
    response.raise_for_status()
    return response.json()


def iterator():
    return HTTPIterator(
        client=None,
        api_request=api_request,
        path="/users",
        item_to_value=lambda _, item: item,
        items_key="users",
        extra_params={"pageSize": limit},
    )


by_pages = [item for page in iterator().pages for item in page]
print(json.dumps({"items": list(iterator()), "pages": by_pages}))
