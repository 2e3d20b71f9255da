"""Verifies requests by the library from PyPI: prints a line for each, "ok" or the reason that it is refused."""

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
