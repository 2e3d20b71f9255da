"""Uses the services of a gateway with the client that `cursorgate sdk` wrote: `python services.py URL`. Prints what they did."""

import asyncio
import json
import sys
from typing import Any

from api_client import ApiError, Client, Job, JobError

client = Client(sys.argv[1], headers={"Authorization": "Bearer one"})
told: dict[str, Any] = {}

job = client.users(filters={"score__gte": 100}, sort=["-score", "id"]).export({"format": "ndjson"})
status: Any = job.wait()
with job.result() as result:
    told["export"] = [status["state"], status["items"], [json.loads(line)["id"] for line in result]]
told["same"] = [one.status["id"] == job.status["id"] for one in client.users().exports()]
job.delete()
try:
    job.refresh()
except ApiError as error:
    told["deleted"] = error.code

notes: list[list[str | None]] = []
told["live"] = notes


async def watch() -> None:
    async for page in client.users(limit=3).live():
        notes.append([row.get("note") for row in page.items])
        if len(notes) == 2:
            return
        bulk = client.bulk(
            [
                {"id": "a", "method": "PUT", "path": f"/users/{page.items[1]['id']}", "body": {}},
                {"method": "GET", "path": "/nowhere"},
            ]
        )
        results = [[one.get("id"), one["success"], one["status"]] for one in bulk["results"]]
        told["bulk"] = [bulk["success"], results]


asyncio.run(watch())

report = client.job("reports", {"month": "2026-11"}, idempotency_key='a "quoted" key')
again = client.job("reports", {"month": "2026-11"}, idempotency_key='a "quoted" key')
report.wait()
with report.result() as result:
    told["job"] = [again.status["id"] == report.status["id"], json.load(result), len(client.jobs())]
refused = client.job("reports", {"fails": True})


def failure(job: Job) -> JobError:
    try:
        job.wait()
    except JobError as error:
        return error
    raise AssertionError("the job has not failed")


told["failed"] = [failure(refused).status["state"], failure(refused).status["error"].get("status")]
refused.resume()
told["resumed"] = isinstance(failure(refused), JobError)
try:
    client.others().live()
except TypeError:
    told["not live"] = True


def refusals() -> None:
    """Makes calls that the types refuse. mypy reports a fault if an `ignore` comment isn't needed."""
    client.job("others", {})  # type: ignore[arg-type]
    client.users().export({"format": "xlsx"})  # type: ignore[arg-type]


print(json.dumps(told))
