"""Walks lists with dlt's REST client, which detects the paginator itself in one walk and is given one in the others.

    python dlt_rest.py BASE LIMIT ENVELOPE
"""

import json
import sys
from urllib.parse import urljoin

from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import (
    HeaderLinkPaginator,
    JSONLinkPaginator,
    JSONResponseCursorPaginator,
)

base, limit, envelope = sys.argv[1:]
# For each envelope: the parameters and headers for the size, and the members with the items and the links.
size, headers, items, following, previous = {
    "standard": ({"limit": limit}, {}, "data", "links.next", "links.prev"),
    "drf": ({"page_size": limit}, {}, "results", "next", "previous"),
    "odata": ({}, {"Prefer": f"odata.maxpagesize={limit}"}, "value", "'@odata.nextLink'", None),
    "bare": ({"limit": limit}, {}, "$", None, None),
}[envelope]
client = RESTClient(base_url=base, headers=headers)


def pages(paginator=None, selector=items, path="/users", params=size):
    return list(client.paginate(path, params=params, paginator=paginator, data_selector=selector))


def flat(some):
    return [item for page in some for item in page]


walks = {"detected": flat(pages(selector=None)), "header link": flat(pages(HeaderLinkPaginator()))}
if following:
    walks["link in the body"] = flat(pages(JSONLinkPaginator(next_url_path=following)))
if envelope == "standard":
    cursor = JSONResponseCursorPaginator(cursor_path="pagination.nextCursor", cursor_param="cursor")
    walks["cursor in the body"] = flat(pages(cursor))

last = client.get("/users", params=size).links.get("last")
if last:
    back = pages(HeaderLinkPaginator(links_next_key="prev"), path=urljoin(base, last["url"]), params={})
    walks["header link, back"] = flat(reversed(back))
    if previous:
        back = pages(JSONLinkPaginator(next_url_path=previous), path=urljoin(base, last["url"]), params={})
        walks["link in the body, back"] = flat(reversed(back))

print(json.dumps(walks))
