// The part of the client that all lists use: requests, retries, pages and errors. Its only dependency is `fetch`.

/** The path to a value in a JSON body, as names of members and indexes of elements. A pair selects the element of an
 * array by the name and value of one of its members: `["links", ["rel", "next"], "href"]`. */
export type Place = readonly (string | readonly [string, string])[];

/** The place of a parameter in a request: in the query, in the body, or a preference (RFC 7240). */
export interface Input {
  readonly place: "query" | "body" | "prefer";
  readonly name: readonly string[];
}

/** The places of the members of an error; null if errors are problem documents (RFC 9457). */
export type ErrorPlaces = Readonly<Record<string, Place>> | null;

/** The description of a list: the form of its requests, and of its answers. */
export interface ListSpec {
  readonly method: "GET" | "POST";
  /** The path, with `{name}` for each parameter. */
  readonly path: string;
  readonly cursor: Input;
  /** The first cursor. */
  readonly start: string;
  readonly limit: Input | null;
  readonly sort: Input | null;
  /** The preferences that every request sends (RFC 7240). */
  readonly prefer: readonly string[];
  readonly items: Place;
  /** The place of the item in an element of `items`. */
  readonly item: Place;
  /** The place of the next cursor, or of the link that contains it: in the body, or in the header `Link`. */
  readonly next: { readonly source: "cursor" | "link" | "header"; readonly at: Place };
  readonly more: Place | null;
  readonly total: Place | null;
  readonly error: ErrorPlaces;
}

/** The codes of problems. A later version of the server may send other codes too. */
export type ProblemCode =
{codes};

export type FilterValue = string | number | boolean;

/** Parameters that are sent to the list unchanged. */
export interface Filters {
  readonly [name: string]: FilterValue | readonly FilterValue[] | undefined;
}

export interface ListOptions {
  /** The number of items on a page. The server may lower it. */
  readonly limit?: number;
  /** The cursor from which to read: `next` of an earlier page. Without a cursor, the list is read from its start. */
  readonly cursor?: string | null;
  readonly filters?: Filters;
  readonly sort?: readonly string[];
  /** Other members of the body, for lists that are read by POST. */
  readonly body?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

export interface ClientOptions {
  /** The scheme and host of the API, and the prefix of its paths if they have one: `https://api.example.com/v1`. */
  readonly baseUrl?: string;
  /** Headers that every request sends, such as `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The largest number of retries of a request whose failure may be temporary. Default: 2. */
  readonly retries?: number;
  /** The longest wait before a retry, in seconds. If `Retry-After` requests a longer wait, the error is thrown at once.
   * Default: 30. */
  readonly maxRetryAfter?: number;
  /** The time-out of each request, in seconds. Default: 60. */
  readonly timeout?: number;
  /** The implementation of `fetch` to use. Default: the global one. */
  readonly fetch?: typeof fetch;
}

/** A page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** The cursor of the next page; null on the last page. */
  readonly next: string | null;
  /** The number of items in the whole list; null if the server doesn't send it. */
  readonly total: number | null;
  /** The strength of the page's proof: exact, checked, anchored or positional. Null if the answer doesn't say it. */
  readonly level: string | null;
  /** True on a last page whose end isn't proven: the service says that more items follow, and the server found none. */
  readonly endUnproven: boolean;
  /** The whole body of the answer, parsed. */
  readonly body: unknown;
}

/** An error that the server answered instead of a page. */
export class ApiError extends Error {
  override readonly name: string = "ApiError";
  readonly status: number;
  /** The stable code of the problem, for comparisons; null if another server answered, such as a proxy. */
  readonly code: ProblemCode | (string & {}) | null;
  readonly title: string | null;
  readonly detail: string | null;
  readonly parameter: string | null;
  /** The id of the request in the server's log. */
  readonly requestId: string | null;
  /** The link to the first page if the cursor is no longer valid, else null. The client never starts again by itself,
   * because you would get the same items twice. */
  readonly restart: string | null;
  /** The wait that the server requested (`Retry-After`), in seconds; null if it requested none. */
  readonly retryAfter: number | null;
  /** The whole body: parsed if it is valid JSON, else a string. */
  readonly body: unknown;

  constructor(status: number, facts: Readonly<Record<string, unknown>>, retryAfter: number | null, body: unknown) {
    const text = (name: string): string | null => (typeof facts[name] === "string" ? (facts[name] as string) : null);
    const code = (text("code") ?? text("reason"))?.toLowerCase() ?? null;
    super([`${status}`, code, text("detail") ?? text("title")].filter((part) => part !== null).join(": "));
    this.status = status;
    this.code = code;
    this.title = text("title");
    this.detail = text("detail");
    this.parameter = text("parameter");
    this.requestId = text("requestId");
    this.restart = text("restart");
    this.retryAfter = retryAfter;
    this.body = body;
  }
}

/** No complete answer was received: the connection failed, the time-out passed, or the answer broke off. */
export class ConnectionError extends Error {
  override readonly name: string = "ConnectionError";
}

/** A successful answer that isn't a page of the list. */
export class InvalidPageError extends Error {
  override readonly name: string = "InvalidPageError";
}

/** The codes of problems after which the same request may succeed later. */
const RETRYABLE: ReadonlySet<string> = new Set("{retryable}".split(" "));

/** The longest wait before the first retry if the answer has no `Retry-After`, in seconds. It doubles with each retry,
 * and the actual wait is a random time between half of it and all of it. */
export const FIRST_WAIT = 0.5;

/** Returns the value at a place, or undefined. */
function find(value: unknown, place: Place): unknown {
  let found: unknown = value;
  for (const step of place) {
    if (typeof step !== "string") {
      const elements: readonly unknown[] = Array.isArray(found) ? found : [];
      found = elements.find((element) => find(element, [step[0]]) === step[1]);
    } else if (typeof found === "object" && found !== null && Object.hasOwn(found, step)) {
      found = (found as Record<string, unknown>)[step];
    } else {
      return undefined;
    }
  }
  return found;
}

/** Sets a value in a body. Copies the objects on the path to it, so the caller's own objects don't change. */
function put(body: Record<string, unknown>, names: readonly string[], value: unknown): void {
  const [name, ...rest] = names;
  if (name === undefined) return;
  if (rest.length === 0) {
    body[name] = value;
    return;
  }
  const inner = body[name];
  const copy = typeof inner === "object" && inner !== null ? { ...(inner as Record<string, unknown>) } : {};
  put(copy, rest, value);
  body[name] = copy;
}

/** Returns the targets of a `Link` header (RFC 8288) by their relations; null if the answer has no such header. */
function links(header: string | null): Map<string, string> | null {
  if (header === null) return null;
  const found = new Map<string, string>();
  for (const [, target, parameters] of header.matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^",;]*))*)/g)) {
    const relations = /;\s*rel\s*=\s*(?:"([^"]*)"|([^",;\s]*))/i.exec(parameters ?? "");
    for (const relation of (relations?.[1] ?? relations?.[2] ?? "").split(/\s+/)) {
      if (target !== undefined && !found.has(relation)) found.set(relation, target);
    }
  }
  return found;
}

/** Returns the wait that a header `Retry-After` requests, in seconds; null if the header is missing or isn't valid. */
export function retryAfter(header: string | null): number | null {
  if (header === null) return null;
  if (/^\s*\d+\s*$/.test(header)) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, (date - Date.now()) / 1000);
}

export function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, seconds * 1000);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

/** A request. */
export interface Call {
  readonly method: string;
  /** The path and the query, encoded. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** True if the request must not be sent again when it is unknown whether the server has carried it out. */
  readonly once?: boolean;
  readonly error?: ErrorPlaces;
}

/** The connection of a client to its server. */
export class Transport {
  readonly base: string;
  readonly #options: ClientOptions;

  constructor(options: ClientOptions, usual: string | null) {
    const base = options.baseUrl ?? usual;
    if (base === null) throw new TypeError("baseUrl is missing: the scheme and host of the API");
    if (!/^https?:$/.test(new URL(base).protocol)) throw new TypeError(`${base} is not an HTTP URL`);
    this.base = base.replace(/\/+$/, "");
    this.#options = options;
  }

  /** Sends a request, with retries if the failure may be temporary, and reads its successful answer. */
  async call<Read>(call: Call, read: (response: Response) => Promise<Read>): Promise<Read> {
    const retries = Math.max(0, this.#options.retries ?? 2);
    const longest = this.#options.maxRetryAfter ?? 30;
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#send(call, read);
      if ("read" in answer) return answer.read;
      const { failure } = answer;
      let wait = FIRST_WAIT * 2 ** attempt * (0.5 + Math.random() / 2);
      if (failure instanceof ApiError) {
        const { code, status } = failure;
        const isUnknown = code === null && [502, 503, 504].includes(status) && call.once !== true;
        if (!(isUnknown || RETRYABLE.has(code ?? "") || (code === null && status === 429))) throw failure;
        wait = failure.retryAfter ?? wait;
      } else if (call.once === true) {
        throw failure;
      }
      if (attempt >= retries || wait > longest) throw failure;
      await pause(wait, call.signal);
    }
  }

  /** Sends a request once. Returns what was read of a successful answer, or the error. */
  async #send<Read>(
    call: Call,
    read: (response: Response) => Promise<Read>,
  ): Promise<{ read: Read } | { failure: ApiError | ConnectionError }> {
    call.signal?.throwIfAborted();
    const timer = new AbortController();
    const ended = setTimeout(() => timer.abort(), (this.#options.timeout ?? 60) * 1000);
    const headers = new Headers(this.#options.headers);
    for (const [name, value] of Object.entries(call.headers ?? {})) headers.set(name, value);
    const request: RequestInit = { method: call.method, headers, redirect: "error" };
    if (call.body !== undefined) {
      headers.set("Content-Type", "application/json");
      request.body = JSON.stringify(call.body);
    }
    // The signal of the caller also ends an answer that is read after its head, such as a stream.
    request.signal = call.signal === undefined ? timer.signal : AbortSignal.any([call.signal, timer.signal]);
    try {
      const response = await (this.#options.fetch ?? fetch)(this.base + call.target, request);
      if (response.ok) return { read: await read(response) };
      return { failure: refusal(call.error ?? null, response, await response.text()) };
    } catch (error) {
      call.signal?.throwIfAborted();
      const target = call.target.replace(/\?.*/s, "");
      return { failure: new ConnectionError(`no answer from ${this.base}${target}: ${String(error)}`, { cause: error }) };
    } finally {
      clearTimeout(ended);
    }
  }
}

/** Returns the path of a list, with the values of its parameters. */
function pathOf(spec: ListSpec, path: Readonly<Record<string, string>>): string {
  return spec.path.replace(/\{([^}]*)\}/g, (_, name: string) => {
    const value = path[name] ?? "";
    if (value === "") throw new TypeError(`the parameter ${name} of the path is empty`);
    return encodeURIComponent(value);
  });
}

/** Returns the request for a page. `below` is the path of a service below that of the list, which gets no position. */
function callOf(spec: ListSpec, path: Readonly<Record<string, string>>, options: ListOptions, below = ""): Call {
  const query = new URLSearchParams();
  const body: Record<string, unknown> = { ...options.body };
  const prefer = [...spec.prefer];
  for (const [name, value] of Object.entries(options.filters ?? {})) {
    for (const one of Array.isArray(value) ? (value as readonly FilterValue[]) : [value as FilterValue | undefined]) {
      if (one !== undefined) query.append(name, String(one));
    }
  }
  const set = (input: Input | null, value: string | number | null | undefined): void => {
    if (input === null || value === null || value === undefined) return;
    if (input.place === "body") put(body, input.name, value);
    else if (input.place === "prefer") prefer.push(`${input.name[0] ?? ""}=${value}`);
    else query.set(input.name[0] ?? "", String(value));
  };
  set(spec.sort, options.sort?.join(","));
  if (below !== "/exports") {
    set(spec.limit, options.limit);
    // The first cursor says that this client reads pages: the server may have old clients, which send none.
    set(spec.cursor, options.cursor ?? spec.start);
  }
  const search = query.toString();
  return {
    method: spec.method,
    target: `${pathOf(spec, path)}${below}${search === "" ? "" : `?${search}`}`,
    headers: prefer.length > 0 ? { Prefer: prefer.join(", ") } : {},
    ...(spec.method === "POST" ? { body } : {}),
    signal: options.signal,
    error: spec.error,
  };
}

/** Parses an answer as JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidPageError("the answer is not valid JSON", { cause: error });
  }
}

/** Reads the headers and the body of an answer as a page. */
export function pageOf<Item>(
  spec: ListSpec,
  headers: Headers,
  body: unknown,
  cursor: string | null,
  base: string,
): Page<Item> {
  const elements: unknown = find(body, spec.items);
  if (!Array.isArray(elements)) throw new InvalidPageError("the answer has no items");
  const items = (elements as unknown[]).map((element) => find(element, spec.item) as Item);
  const level = headers.get("Cursorgate-Level");
  // An answer for old clients can have its items at the same place, and would look like the last page.
  if (level === null) throw new InvalidPageError("the answer has no Cursorgate-Level: it is not a page for this client");
  const next = nextCursor(spec, headers, body, base);
  if (next !== null && next === cursor) throw new InvalidPageError("the page leads to itself");
  if (next === null && spec.more !== null && find(body, spec.more) === true) {
    throw new InvalidPageError("more items follow, but the answer has no cursor for them");
  }
  const total = spec.total === null ? null : find(body, spec.total);
  const endUnproven = headers.get("Cursorgate-End") !== null;
  return { items, next, total: typeof total === "number" ? total : null, level, endUnproven, body };
}

/** Returns the next cursor. From a link it takes only the cursor, so credentials aren't sent to the link's host. */
function nextCursor(spec: ListSpec, headers: Headers, body: unknown, base: string): string | null {
  // The flag decides, because even the last page can have a cursor: the cursor of its last item.
  if (spec.more !== null && find(body, spec.more) === false) return null;
  let link: unknown;
  if (spec.next.source === "header") {
    const found = links(headers.get("Link"));
    if (found === null) throw new InvalidPageError("the answer has no Link header");
    link = found.get("next");
  } else {
    link = find(body, spec.next.at);
  }
  if (link === undefined || link === null || link === "") return null;
  if (typeof link !== "string") throw new InvalidPageError("the cursor or link of the next page is not a string");
  if (spec.next.source === "cursor") return link;
  const cursor = new URL(link, `${base}/`).searchParams.get(spec.cursor.name[0] ?? "");
  if (cursor === null) throw new InvalidPageError("the link to the next page has no cursor");
  return cursor;
}

/** Reads an answer as an error. */
function refusal(places: ErrorPlaces, answer: Response, text: string): ApiError {
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // Other servers, such as proxies, answer with text, so the body stays a string.
  }
  const type = answer.headers.get("Content-Type") ?? "";
  // An error that occurs before the server knows the list is a problem document, even if the list's own errors have
  // another form.
  const own = type.startsWith("application/problem+json") ? null : places;
  const facts: Record<string, unknown> = { requestId: answer.headers.get("X-Request-Id") };
  for (const name of ["code", "reason", "title", "detail", "parameter", "requestId", "restart"]) {
    const place = own === null ? [name] : own[name];
    if (place !== undefined) facts[name] = find(body, place) ?? facts[name];
  }
  return new ApiError(answer.status, facts, retryAfter(answer.headers.get("Retry-After")), body);
}

/** A list. `for await (const item of list)` reads all items; `list.pages()` reads whole pages. No request is sent
 * before you iterate or call `page`. */
export class Listing<Item> implements AsyncIterable<Item> {
  constructor(
    protected readonly transport: Transport,
    protected readonly spec: ListSpec,
    protected readonly path: Readonly<Record<string, string>>,
    protected readonly options: ListOptions,
  ) {}

  /** Requests one page: the page at `cursor` in the options, or the first page without a cursor. */
  page(): Promise<Page<Item>> {
    return this.#page(this.options.cursor ?? null);
  }

  async #page(cursor: string | null): Promise<Page<Item>> {
    const { spec, transport } = this;
    const [headers, text] = await transport.call(this.call({ cursor }), async (answer) => [answer.headers, await answer.text()] as const);
    return pageOf<Item>(spec, headers, parsed(text), cursor, transport.base);
  }

  /** Returns the request for a page, or for a service at the path `below` that of the list. */
  protected call(options: ListOptions = {}, below = ""): Call {
    return callOf(this.spec, this.path, { ...this.options, ...options }, below);
  }

  /** Yields the pages, each of which is requested when the iteration reaches it. */
  async *pages(): AsyncGenerator<Page<Item>, void, undefined> {
    let cursor = this.options.cursor ?? null;
    do {
      const page = await this.#page(cursor);
      yield page;
      cursor = page.next;
    } while (cursor !== null);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const page of this.pages()) yield* page.items;
  }
}
