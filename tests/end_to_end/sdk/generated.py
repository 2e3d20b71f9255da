"""Reads a whole list with a client that openapi-python-client has generated, and prints the ids of its items.

The list is at the address in the first argument. No limit and no cursor is chosen for the first page.
"""

import json
import sys

from generated import Client
from generated.api.users import list_users
from generated.models.users_page import UsersPage

client = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)
page = list_users.sync(client=client)
ids: list[object] = []
while True:
    assert isinstance(page, UsersPage), page
    ids += [item["id"] for item in page.data]
    cursor = page.pagination.next_cursor
    if not isinstance(cursor, str):
        break
    page = list_users.sync(client=client, cursor=cursor)
print(json.dumps(ids))
