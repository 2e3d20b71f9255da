"""The services of the API: exports and live pages of lists, jobs of queues, and bulk requests."""

from __future__ import annotations

import asyncio
import copy
import json
import time
import urllib.parse
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from http.client import HTTPException, HTTPResponse
from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar, cast

from .runtime import (
    FIRST_WAIT,
    Answer,
    ApiError,
    Call,
    Listing,
    ListOptions,
    ListSpec,
    NoAnswerError,
    Page,
    Transport,
    page_of,
    retry_after,
)

Item = TypeVar("Item")


class JobFault(TypedDict):
    """Why a job or its last attempt has failed."""

    code: str
    detail: str
    status: NotRequired[int]


class JobStatus(TypedDict):
    """The description of a job. It has further members, such as `items` of an export."""

    id: str
    state: Literal["queued", "active", "waiting", "completed", "failed", "cancelled"]
    # In per cent; None if it is unknown.
    progress: int | None
    attempts: int
    createdAt: str
    finishedAt: str | None
    # The time after which the job and its result are removed.
    expiresAt: str | None
    error: NotRequired[JobFault]


class JobError(Exception):
    """A job has failed, or was cancelled."""

    def __init__(self, status: JobStatus) -> None:
        error = status.get("error")
        said = [f"job {status['id']} {status['state']}", *([error["code"], error["detail"]] if error else [])]
        super().__init__(": ".join(said))
        self.status = status


class Job:
    """A job of the server: an export of a list, or a job of a queue. `status` is what the server has said last."""

    def __init__(self, transport: Transport, base: str, status: JobStatus, body: Any = None) -> None:
        self._transport = transport
        self._base = base
        self._body = body
        self.status = status

    def refresh(self) -> float:
        """Requests the status. Returns the seconds after which the server wants to be asked again."""
        answer = self._transport.call(Call("GET", self._target(), {}))
        self.status = json.loads(answer.body)
        wait = retry_after(answer.headers.get("retry-after"))
        return 2.0 if wait is None else wait

    def wait(self) -> JobStatus:
        """Waits until the job is completed, and returns its status. Raises `JobError` if it failed or was cancelled.

        In a task, call `await asyncio.to_thread(job.wait)`.
        """
        while self.status["state"] != "completed":
            if self.status["finishedAt"] is not None:
                raise JobError(self.status)
            time.sleep(self.refresh())
        return self.status

    def result(self) -> HTTPResponse:
        """Requests the result of a completed job. Returns the open response, which is a file of bytes: close it."""
        call = Call("GET", self._target("/result"), {}, silence=self._transport.timeout)
        return cast("HTTPResponse", self._transport.call(call).body)

    def resume(self, body: Any = None) -> None:
        """Continues a failed job. `body` is that with which it was begun; a job that this client has begun knows it."""
        call = Call("POST", self._target("/resume"), {}, self._body if body is None else body)
        self.status = json.loads(self._transport.call(call).body)

    def delete(self) -> None:
        """Cancels an unfinished job, or removes a finished one with its result."""
        self._transport.call(Call("DELETE", self._target(), {}))

    def _target(self, below: str = "") -> str:
        return f"{self._base}/{urllib.parse.quote(self.status['id'], safe='')}{below}"


def begin(transport: Transport, base: str, call: Call, idempotency_key: str | None) -> Job:
    """Begins a job by a POST. `base` is the path of jobs."""
    # A retry gets the job that the first request began.
    headers = {**call.headers, "Idempotency-Key": _key(idempotency_key or str(uuid.uuid4()))}
    answer = transport.call(replace(call, method="POST", headers=headers))
    return Job(transport, base, json.loads(answer.body), call.body)


def jobs(transport: Transport, base: str, member: str) -> list[Job]:
    """Requests the newest jobs of this client. `member` has them in the answer."""
    found = json.loads(transport.call(Call("GET", base, {})).body)
    return [Job(transport, base, status) for status in found[member]]


def _key(text: str) -> str:
    """Writes a text as the value of `Idempotency-Key`, a string of structured fields (RFC 9651)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class BulkOperation(TypedDict, total=False):
    """An operation of a bulk request: with a method and a path, or with a type that the server knows."""

    id: str
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    type: str
    parameters: Mapping[str, str | int | float]
    headers: Mapping[str, str]
    body: Any


class BulkResult(TypedDict):
    """The result of an operation. `success` is true if the status is below 400."""

    type: str
    success: bool
    id: NotRequired[str]
    status: NotRequired[int]
    headers: NotRequired[dict[str, str]]
    body: NotRequired[Any]
    bodyText: NotRequired[str]
    bodyBase64: NotRequired[str]
    # True if the operation did not begin.
    skipped: NotRequired[bool]


class BulkSummary(TypedDict):
    total: int
    successful: int
    failed: int
    skipped: int


class BulkResponse(TypedDict):
    """The results of a bulk request, in the order of the operations. `success` is true if all are successful."""

    success: bool
    results: list[BulkResult]
    summary: BulkSummary


def bulk(
    transport: Transport,
    target: str,
    operations: Sequence[BulkOperation],
    stop_on_error: bool,
    idempotency_key: str | None,
) -> BulkResponse:
    """Sends many operations in one request."""
    headers = {} if idempotency_key is None else {"Idempotency-Key": _key(idempotency_key)}
    body = {"stopOnError": stop_on_error, "operations": list(operations)}
    call = Call("POST", target, headers, body, once=idempotency_key is None)
    return cast("BulkResponse", json.loads(transport.call(call).body))


class ExportOrder(TypedDict, total=False):
    """The form of an export's result."""

    format: Literal["ndjson", "csv", "json"]
    compression: Literal["none", "gzip", "zstd"]
    priority: Literal["low", "normal", "high"]
    # The columns of `csv`, in their order.
    columns: Sequence[str]
    # `escaped` changes texts of `csv` that spreadsheets read as formulas.
    formulas: Literal["kept", "escaped"]


class ListServices(TypedDict):
    """The services of a list."""

    exports: bool
    # The time without a message after which a live page is broken, in seconds; None if the list has no live pages.
    silence: float | None


class ServedListing(Listing[Item]):
    """A list with exports or live pages."""

    def __init__(
        self,
        transport: Transport,
        spec: ListSpec,
        path: Mapping[str, str],
        options: ListOptions,
        services: ListServices,
    ) -> None:
        super().__init__(transport, spec, path, options)
        self._services = services

    def export(self, order: ExportOrder | None = None, *, idempotency_key: str | None = None) -> Job:
        """Begins an export of the list, with its filters and order."""
        call = replace(self._exports(), body=order or {})
        return begin(self._transport, call.target.split("?")[0], call, idempotency_key)

    def exports(self) -> list[Job]:
        """Requests the newest exports of this list by this client."""
        return jobs(self._transport, self._exports().target.split("?")[0], "exports")

    def live(self) -> Live[Item]:
        """Returns the page at `cursor`, or the first page, again after each of its changes, for `for` and `async for`.

        A stream that breaks off is opened again.
        """
        if self._services["silence"] is None:
            raise TypeError("this list has no live pages")
        call = replace(self._call(self._options.cursor, "/live"), silence=self._services["silence"])
        return Live(self._transport, self._spec, call, self._options.cursor)

    def _exports(self) -> Call:
        if not self._services["exports"]:
            raise TypeError("this list has no exports")
        return self._call(None, "/exports")


class Live(Generic[Item]):
    """The states of a page, from its first one on."""

    def __init__(self, transport: Transport, spec: ListSpec, call: Call, cursor: str | None) -> None:
        self._transport = transport
        self._spec = spec
        self._call = call
        self._cursor = cursor

    def __iter__(self) -> Iterator[Page[Item]]:
        known: str | None = None
        page: Any = None
        headers: Mapping[str, str] = {}
        failures = 0
        while True:
            last = {} if known is None else {"Last-Event-ID": known}
            answer = self._transport.call(replace(self._call, headers={**self._call.headers, **last}))
            wait = min(30.0, FIRST_WAIT * 2**failures)
            failures += 1
            for message in _messages(answer):
                failures = 0
                kind = message["type"]
                if kind == "closing":
                    wait = message["retryAfter"] / 1000
                if kind == "error" and message["final"]:
                    raise ApiError(message["status"], message, None, message)
                if kind == "patch" and message["from"] != known:
                    # The client has another page, so it asks for the whole page.
                    known = None
                    break
                if kind not in ("paginatedData", "patch") or message.get("patch") == []:
                    continue
                page = message["page"] if kind == "paginatedData" else _patched(page, message["patch"])
                headers = {name.lower(): value for name, value in message.get("headers", headers).items()}
                known = message["id"]
                yield page_of(self._spec, headers, page, self._cursor)
            if failures > 5:
                raise NoAnswerError("the stream breaks off before a message")
            time.sleep(wait)

    async def __aiter__(self) -> AsyncIterator[Page[Item]]:
        pages = iter(self)
        while True:
            # The generator never ends.
            yield await asyncio.to_thread(next, pages)


def _messages(answer: Answer) -> Iterator[dict[str, Any]]:
    """Yields the messages of a stream of events, until it ends, breaks off, or is silent for too long."""
    with answer.body as stream:
        try:
            for line in stream:
                # The server writes each message as one line of data.
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        except (OSError, HTTPException):
            return  # A stream that breaks off is opened again.


def _patched(document: Any, patch: Sequence[Mapping[str, Any]]) -> Any:
    """Returns a copy of a document with the changes of a JSON Patch (RFC 6902)."""
    root: Any = {"": copy.deepcopy(document)}

    def place(path: str) -> tuple[Any, Any]:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")]
        holder = root
        for step in steps[:-1]:
            holder = holder[int(step) if isinstance(holder, list) else step]
        if not isinstance(holder, list):
            return holder, steps[-1]
        return holder, len(holder) if steps[-1] == "-" else int(steps[-1])

    for operation in patch:
        kind, value = operation["op"], operation.get("value")
        if kind == "move":
            holder, name = place(operation["from"])
            value = holder.pop(name)
        holder, name = place(operation["path"])
        if kind == "remove":
            holder.pop(name)
        elif isinstance(holder, list) and kind != "replace":
            holder.insert(name, value)
        else:
            holder[name] = value
    return root[""]
