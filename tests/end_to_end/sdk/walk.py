"""Walks the lists of a gateway with the client that `cursorgate sdk` wrote: `python walk.py URL`. Prints all ids."""

import asyncio
import json
import sys
from typing import Any

from api_client import ApiError, Client, Listing, Row

client = Client(sys.argv[1])


def ids(listing: Listing[Any]) -> list[int]:
    return [int(item["id"]) for item in listing]


async def ids_by_tasks(listing: Listing[Any]) -> list[int]:
    return [int(item["id"]) async for item in listing]


def rows(listing: Listing[Row]) -> list[int]:
    return [row["score"] + 0 for row in listing]


walks: dict[str, Any] = {
    "aip": ids(client.aip(limit=100)),
    "bare": ids(client.bare(limit=100)),
    "batch": ids(client.batch(limit=100, body={"requester_service": {"name": "walker"}})),
    "drf": ids(client.drf(limit=100)),
    "hal": ids(client.hal(limit=100)),
    "jsonapi": ids(client.jsonapi(limit=100)),
    "odata": ids(client.odata(limit=100)),
    "ogc": ids(client.ogc(limit=100)),
    "page-info": ids(client.page_info(limit=100)),
    "relay": ids(client.relay(limit=100)),
    "standard": ids(client.standard(limit=100)),
    "stripe": ids(client.stripe(limit=100)),
    "team": ids(client.team_users("a b", limit=100)),
    "backwards": ids(client.standard(limit=200, sort=["score", "-id"])),
    "filtered": ids(client.standard(limit=50, filters={"score__gte": 100})),
    "by tasks": asyncio.run(ids_by_tasks(client.standard(limit=100))),
}

# One walk reads whole pages, and another walk continues after one of these pages.
for page in client.standard(limit=400).pages():
    walks["total"] = page.total
    walks["resumed"] = [row["id"] for row in page.items] + ids(client.standard(cursor=page.next))
    for row in page.items:
        note: str | None = row.get("note")
        assert note is not None
    break

try:
    client.drf(cursor="garbage").page()
except ApiError as error:
    walks["error"] = [error.status, error.code, error.restart is not None, error.request_id is not None]


def refused() -> None:
    """Makes calls that the types refuse. mypy reports a fault if an `ignore` comment isn't needed."""
    client.standard(sort=["note"])  # type: ignore[list-item]
    client.standard(page=2)  # type: ignore[call-arg]
    client.team_users()  # type: ignore[call-arg]
    for row in client.standard():
        row["name"]  # type: ignore[typeddict-item]


print(json.dumps(walks))
