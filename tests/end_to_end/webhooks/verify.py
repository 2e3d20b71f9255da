"""Verifies requests with the library from PyPI. Prints a line for each request: "ok", or the reason for its refusal."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

with open(sys.argv[1], encoding="utf-8") as requests:
    for request in json.load(requests):
        try:
            payload = Webhook(request["secret"]).verify(request["body"], request["headers"])
            assert payload == json.loads(request["body"]), "another payload"
            print("ok")
        except WebhookVerificationError as error:
            print(f"refused: {error}")
