"""Follows a live page over a WebSocket with the libraries websockets and jsonpatch. Prints the page after each message.

Numbers keep all their digits: Python's integers have any size, and fractions are read as decimals.

    python follow.py URL MESSAGE
"""

import decimal
import json
import sys

import jsonpatch
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

url, watch = sys.argv[1:]
page = None
with connect(url, additional_headers={"Authorization": "Bearer one"}, ping_interval=1) as socket:
    socket.send(watch)
    while True:
        try:
            text = socket.recv()
        except ConnectionClosed:
            break
        message = json.loads(text, parse_float=decimal.Decimal)
        if message["type"] == "paginatedData":
            page = message["page"]
        if message["type"] == "patch":
            page = jsonpatch.apply_patch(page, message["patch"])
        print(json.dumps({"type": message["type"], "page": page}, default=str), flush=True)
print(json.dumps({"type": "close", "code": socket.close_code, "reason": socket.close_reason}), flush=True)
