"""The part of the client that all lists use: requests, retries, pages and errors. Needs only the standard library."""

from __future__ import annotations

import asyncio
import email.utils
import http.client
import json
import random
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypedDict, TypeVar, Union, cast

Item = TypeVar("Item")

# The path to a value in a JSON body, as names of members and indexes of elements. A pair selects the element of an
# array by the name and value of one of its members: ("links", ("rel", "next"), "href").
Place = Sequence[Union[str, tuple[str, str]]]

FilterValue = Union[str, int, float, bool]

# A parameter that is sent to the list unchanged.
FilterParameter = Union[FilterValue, Sequence[FilterValue]]


class Input(TypedDict):
    """The place of a parameter in a request: in the query, in the body, or a preference (RFC 7240)."""

    place: Literal["query", "body", "prefer"]
    name: Sequence[str]


class Next(TypedDict):
    """The place of the next cursor, or of the link that contains it: in the body, or in the header `Link`."""

    source: Literal["cursor", "link", "header"]
    at: Place


# The places of the members of an error; None if errors are problem documents (RFC 9457).
ErrorPlaces = Union[Mapping[str, Place], None]


class ListSpec(TypedDict):
    """The description of a list: the form of its requests, and of its answers."""

    method: Literal["GET", "POST"]
    # The path, with `{name}` for each parameter.
    path: str
    cursor: Input
    # The first cursor.
    start: str
    limit: Input | None
    sort: Input | None
    # The preferences that every request sends (RFC 7240).
    prefer: Sequence[str]
    items: Place
    # The place of the item in an element of `items`.
    item: Place
    next: Next
    more: Place | None
    total: Place | None
    error: ErrorPlaces


@dataclass(frozen=True)
class ListOptions:
    """The options of a list, as passed to the methods of the client."""

    limit: int | None = None
    cursor: str | None = None
    sort: Sequence[str] | None = None
    filters: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A page of a list."""

    items: list[Item]
    # The cursor of the next page; None on the last page.
    next: str | None
    # The number of items in the whole list; None if the server doesn't send it.
    total: int | None
    # The strength of the page's proof: exact, checked, anchored or positional. None if the answer doesn't say it.
    level: str | None
    # True on a last page whose end isn't proven: the service says that more items follow, and the server found none.
    end_unproven: bool
    # The whole body of the answer, parsed.
    body: Any


class ApiError(Exception):
    """An error that the server answered instead of a page.

    `code` is the stable code of the problem, for comparisons; None if another server answered, such as a proxy.
    `restart` is the link to the first page if the cursor is no longer valid, else None. The client never starts again
    by itself, because you would get the same items twice.
    """

    def __init__(self, status: int, facts: Mapping[str, Any], retry_after: float | None, body: Any) -> None:
        def text(name: str) -> str | None:
            value = facts.get(name)
            return value if isinstance(value, str) else None

        code = text("code") or text("reason")
        self.status = status
        self.code = code.lower() if code else None
        self.title = text("title")
        self.detail = text("detail")
        self.parameter = text("parameter")
        # The id of the request in the server's log.
        self.request_id = text("requestId")
        self.restart = text("restart")
        # The wait that the server requested (`Retry-After`), in seconds; None if it requested none.
        self.retry_after = retry_after
        # The whole body: parsed if it is valid JSON, else a string.
        self.body = body
        super().__init__(": ".join(part for part in (str(status), self.code, self.detail or self.title) if part))


class NoAnswerError(Exception):
    """No complete answer was received: the connection failed, the time-out passed, or the answer broke off."""


class InvalidPageError(Exception):
    """A successful answer that isn't a page of the list."""


# The codes of problems after which the same request may succeed later.
RETRYABLE = frozenset("{retryable}".split())

# The longest wait before the first retry if the answer has no `Retry-After`, in seconds. It doubles with each retry,
# and the actual wait is a random time between half of it and all of it.
FIRST_WAIT = 0.5


def find(value: Any, place: Place) -> Any:
    """Returns the value at a place, or None."""
    for step in place:
        if isinstance(step, tuple):
            member, wanted = step
            elements = value if isinstance(value, list) else []
            value = next((one for one in elements if isinstance(one, dict) and one.get(member) == wanted), None)
        elif isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def put(body: dict[str, Any], names: Sequence[str], value: Any) -> None:
    """Sets a value in a body. Copies the objects on the path to it, so the caller's own objects don't change."""
    for name in names[:-1]:
        inner = body.get(name)
        body[name] = dict(inner) if isinstance(inner, Mapping) else {}
        body = body[name]
    body[names[-1]] = value


def links(header: str) -> dict[str, str]:
    """Returns the targets of a `Link` header (RFC 8288) by their relations."""
    found: dict[str, str] = {}
    for target, parameters in re.findall(r'<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^",;]*))*)', header):
        relations = re.search(r';\s*rel\s*=\s*(?:"([^"]*)"|([^",;\s]*))', parameters, re.IGNORECASE)
        for relation in ((relations[1] or relations[2] or "") if relations else "").split():
            found.setdefault(relation, target)
    return found


def retry_after(header: str | None) -> float | None:
    """Returns the wait that a header `Retry-After` requests, in seconds; None if the header is missing or invalid."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


@dataclass(frozen=True)
class Call:
    """A request."""

    method: str
    # The path and the query, encoded.
    target: str
    headers: Mapping[str, str]
    # The value of the body, which is sent as JSON; None for no body.
    body: Any = None
    # True if the request must not be sent again when it is unknown whether the server has carried it out.
    once: bool = False
    error: ErrorPlaces = None
    # The longest time without a byte of a body that is read as it comes; None if the body is read as a whole.
    silence: float | None = None


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    # The whole body, or the open response, if the call has `silence`.
    body: Any


@dataclass(frozen=True)
class _Pause:
    seconds: float


# A step of a call: a request to send, or a pause.
_Step = Union[Call, _Pause]
_Outcome = Union[Answer, NoAnswerError, None]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Returns redirects as answers instead of following them, which could send the credentials to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Transport:
    """The connection of a client to its server."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None,
        retries: int,
        max_retry_after: float,
        timeout: float,
    ) -> None:
        if urllib.parse.urlsplit(base_url).scheme not in ("http", "https"):
            raise ValueError(f"{base_url!r} is not an HTTP URL")
        self.base = base_url.rstrip("/")
        self.headers = dict(headers or {})
        self.retries = max(0, retries)
        self.max_retry_after = max_retry_after
        self.timeout = timeout
        self._opener = urllib.request.build_opener(_NoRedirects)

    def call(self, call: Call) -> Answer:
        """Sends a request, with retries if the failure may be temporary, and returns its successful answer."""
        steps, outcome = self._steps(call), cast("_Outcome", None)
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                return cast("Answer", end.value)
            if isinstance(step, _Pause):
                time.sleep(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)

    async def call_async(self, call: Call) -> Answer:
        """Sends a request, like `call`, without blocking other tasks."""
        steps, outcome = self._steps(call), cast("_Outcome", None)
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                return cast("Answer", end.value)
            if isinstance(step, _Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
            else:
                outcome = await asyncio.to_thread(self._send, step)

    def _steps(self, call: Call) -> Generator[_Step, _Outcome, Answer]:
        """Yields the steps of a call, which are requests and the pauses before retries. Returns the answer."""
        attempt = 0
        while True:
            answer = yield call
            wait = FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.0)
            failure: ApiError | NoAnswerError
            if isinstance(answer, Answer):
                if 200 <= answer.status < 300:
                    return answer
                failure = _refusal(call.error, answer)
                by_status = failure.code is None and failure.status in ((429,) if call.once else (429, 502, 503, 504))
                if not by_status and failure.code not in RETRYABLE:
                    raise failure
                wait = wait if failure.retry_after is None else failure.retry_after
            else:
                failure = answer or NoAnswerError("no answer")
                if call.once:
                    raise failure
            if attempt >= self.retries or wait > self.max_retry_after:
                raise failure
            yield _Pause(wait)
            attempt += 1

    def _send(self, call: Call) -> Answer | NoAnswerError:
        """Sends a request. Returns its answer, whatever its status, or the error if there is no answer."""
        headers, data = {**self.headers, **call.headers}, None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(call.body).encode()
        request = urllib.request.Request(self.base + call.target, data=data, headers=headers, method=call.method)
        timeout = self.timeout if call.silence is None else call.silence
        try:
            try:
                response = self._opener.open(request, timeout=timeout)
            except urllib.error.HTTPError as error:
                response = error
            sent = {name.lower(): value for name, value in response.headers.items()}
            if call.silence is not None and response.status < 300:
                return Answer(response.status, sent, response)
            with response:
                return Answer(response.status, sent, response.read())
        except (OSError, http.client.HTTPException) as error:
            failure = NoAnswerError(f"no answer from {request.full_url.split('?')[0]}: {error}")
            failure.__cause__ = error
            return failure


def call_of(spec: ListSpec, path: Mapping[str, str], options: ListOptions, below: str = "") -> Call:
    """Returns the request for a page, or for a service at the path `below` that of the list."""
    query: dict[str, list[str]] = {}
    body: dict[str, Any] = dict(options.body or {})
    prefer = list(spec["prefer"])
    for name, value in (options.filters or {}).items():
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        query[name] = [_text(one) for one in values]
    inputs: list[tuple[Input | None, Any]] = [(spec["sort"], None if options.sort is None else ",".join(options.sort))]
    # An export has no position.
    if below != "/exports":
        # The first cursor says that this client reads pages: the server may have old clients, which send none.
        cursor = spec["start"] if options.cursor is None else options.cursor
        inputs += [(spec["limit"], options.limit), (spec["cursor"], cursor)]
    for given, value in inputs:
        if given is None or value is None:
            continue
        if given["place"] == "body":
            put(body, given["name"], value)
        elif given["place"] == "prefer":
            prefer.append(f"{given['name'][0]}={value}")
        else:
            query[given["name"][0]] = [str(value)]

    def segment(found: re.Match[str]) -> str:
        text = path[found[1]]
        if not text:
            raise ValueError(f"the parameter {found[1]} of the path is empty")
        return urllib.parse.quote(text, safe="")

    target = re.sub(r"\{([^}]*)\}", segment, spec["path"]) + below
    if query:
        target += "?" + urllib.parse.urlencode(query, doseq=True)
    headers = {"Prefer": ", ".join(prefer)} if prefer else {}
    return Call(spec["method"], target, headers, body if spec["method"] == "POST" else None, error=spec["error"])


def _text(value: FilterValue) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _refusal(places: ErrorPlaces, answer: Answer) -> ApiError:
    body: Any = answer.body.decode("utf-8", "replace")
    try:
        body = json.loads(body)
    except ValueError:
        pass  # Other servers, such as proxies, answer with text, so the body stays a string.
    kind = answer.headers.get("content-type", "")
    # An error that occurs before the server knows the list is a problem document, even if the list's own errors have
    # another form.
    own = None if kind.startswith("application/problem+json") else places
    facts: dict[str, Any] = {"requestId": answer.headers.get("x-request-id")}
    for name in ("code", "reason", "title", "detail", "parameter", "requestId", "restart"):
        place = [name] if own is None else own.get(name)
        found = None if place is None else find(body, place)
        if found is not None:
            facts[name] = found
    return ApiError(answer.status, facts, retry_after(answer.headers.get("retry-after")), body)


def _next(spec: ListSpec, headers: Mapping[str, str], body: Any) -> str | None:
    """Returns the next cursor. From a link it takes only the cursor, so credentials aren't sent to the link's host."""
    # The flag decides, because even the last page can have a cursor: the cursor of its last item.
    if spec["more"] is not None and find(body, spec["more"]) is False:
        return None
    if spec["next"]["source"] == "header":
        header = headers.get("link")
        if header is None:
            raise InvalidPageError("the answer has no Link header")
        found: Any = links(header).get("next")
    else:
        found = find(body, spec["next"]["at"])
    if found is None or found == "":
        return None
    if not isinstance(found, str):
        raise InvalidPageError("the cursor or link of the next page is not a string")
    if spec["next"]["source"] == "cursor":
        return found
    pairs = urllib.parse.parse_qs(urllib.parse.urlsplit(found).query)
    cursors = pairs.get(spec["cursor"]["name"][0])
    if cursors is None:
        raise InvalidPageError("the link to the next page has no cursor")
    return cursors[0]


def page_of(spec: ListSpec, headers: Mapping[str, str], body: Any, cursor: str | None) -> Page[Any]:
    """Reads the headers, with names in lower case, and the body of an answer as a page."""
    elements = find(body, spec["items"])
    if not isinstance(elements, list):
        raise InvalidPageError("the answer has no items")
    items = [find(element, spec["item"]) for element in elements]
    level = headers.get("cursorgate-level")
    # An answer for old clients can have its items at the same place, and would look like the last page.
    if level is None:
        raise InvalidPageError("the answer has no Cursorgate-Level: it is not a page for this client")
    following = _next(spec, headers, body)
    if following is not None and following == cursor:
        raise InvalidPageError("the page leads to itself")
    if following is None and spec["more"] is not None and find(body, spec["more"]) is True:
        raise InvalidPageError("more items follow, but the answer has no cursor for them")
    total = None if spec["total"] is None else find(body, spec["total"])
    end_unproven = headers.get("cursorgate-end") is not None
    return Page(items, following, total if isinstance(total, int) else None, level, end_unproven, body)


class Listing(Generic[Item]):
    """A list. `for item in listing` and `async for item in listing` read all items; `listing.pages()` reads pages.

    No request is sent before you iterate or call `page`. `async for` sends each request in a separate thread, so other
    tasks can run meanwhile.
    """

    def __init__(self, transport: Transport, spec: ListSpec, path: Mapping[str, str], options: ListOptions) -> None:
        self._transport = transport
        self._spec = spec
        self._path = path
        self._options = options

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from page.items

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in page.items:
                yield item

    def pages(self) -> Pages[Item]:
        """Returns the pages, each of which is requested when the iteration reaches it."""
        return Pages(self)

    def page(self) -> Page[Item]:
        """Requests one page: the page at `cursor`, or the first page without a cursor."""
        return self._page(self._options.cursor)

    async def page_async(self) -> Page[Item]:
        """Requests one page, like `page`, without blocking other tasks."""
        return await self._page_async(self._options.cursor)

    def _page(self, cursor: str | None) -> Page[Item]:
        return self._read(self._transport.call(self._call(cursor)), cursor)

    async def _page_async(self, cursor: str | None) -> Page[Item]:
        return self._read(await self._transport.call_async(self._call(cursor)), cursor)

    def _call(self, cursor: str | None, below: str = "") -> Call:
        return call_of(self._spec, self._path, replace(self._options, cursor=cursor), below)

    def _read(self, answer: Answer, cursor: str | None) -> Page[Item]:
        try:
            body = json.loads(answer.body)
        except ValueError as error:
            raise InvalidPageError("the answer is not valid JSON") from error
        return page_of(self._spec, answer.headers, body, cursor)


class Pages(Generic[Item]):
    """The pages of a list, for `for page in pages` and `async for page in pages`."""

    def __init__(self, listing: Listing[Item]) -> None:
        self._listing = listing

    def __iter__(self) -> Iterator[Page[Item]]:
        cursor = self._listing._options.cursor
        while True:
            page = self._listing._page(cursor)
            yield page
            cursor = page.next
            if cursor is None:
                return

    async def __aiter__(self) -> AsyncIterator[Page[Item]]:
        cursor = self._listing._options.cursor
        while True:
            page = await self._listing._page_async(cursor)
            yield page
            cursor = page.next
            if cursor is None:
                return
