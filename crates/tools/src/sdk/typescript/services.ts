// The services of the API: exports and live pages of lists, jobs of queues, and bulk requests.

import {
  ApiError,
  type Call,
  ConnectionError,
  FIRST_WAIT,
  type ListOptions,
  type ListSpec,
  Listing,
  type Page,
  type Transport,
  pageOf,
  pause,
  retryAfter,
} from "./runtime.js";

/** The description of a job. */
export interface JobStatus {
  readonly id: string;
  readonly state: "queued" | "active" | "waiting" | "completed" | "failed" | "cancelled";
  /** In per cent; null if it is unknown. */
  readonly progress: number | null;
  readonly attempts: number;
  readonly createdAt: string;
  readonly finishedAt: string | null;
  /** The time after which the job and its result are removed. */
  readonly expiresAt: string | null;
  /** Why the job or its last attempt has failed. */
  readonly error?: { readonly code: string; readonly detail: string; readonly status?: number };
  /** Further members, such as `items` of an export. */
  readonly [name: string]: unknown;
}

/** A job has failed, or was cancelled. */
export class JobError extends Error {
  override readonly name: string = "JobError";
  readonly status: JobStatus;

  constructor(status: JobStatus) {
    const { id, state, error } = status;
    super([`job ${id} ${state}`, error?.code, error?.detail].filter((part) => part !== undefined).join(": "));
    this.status = status;
  }
}

export interface BeginOptions {
  /** The name of this request: a repetition gets the job that the first one began. Default: a random one, so that a
   * retry begins no second job. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** A job of the server: an export of a list, or a job of a queue. */
export class Job {
  readonly #transport: Transport;
  readonly #base: string;
  readonly #body: unknown;
  #status: JobStatus;

  constructor(transport: Transport, base: string, status: JobStatus, body?: unknown) {
    this.#transport = transport;
    this.#base = base;
    this.#status = status;
    this.#body = body;
  }

  /** The status as the server has last described it. */
  get status(): JobStatus {
    return this.#status;
  }

  /** Requests the status. Returns the seconds after which the server wants to be asked again. */
  async refresh(signal?: AbortSignal): Promise<number> {
    const [status, wait] = await ask<JobStatus>(this.#transport, { method: "GET", target: this.#target(), signal });
    this.#status = status;
    return wait;
  }

  /** Waits until the job is completed, and returns its status. Throws a `JobError` if it has failed or was cancelled. */
  async wait(signal?: AbortSignal): Promise<JobStatus> {
    for (;;) {
      if (this.#status.state === "completed") return this.#status;
      if (this.#status.finishedAt !== null) throw new JobError(this.#status);
      await pause(await this.refresh(signal), signal);
    }
  }

  /** Requests the result of a completed job. Its body is a stream. */
  result(signal?: AbortSignal): Promise<Response> {
    return this.#transport.call({ method: "GET", target: this.#target("/result"), signal }, async (answer) => answer);
  }

  /** Continues a failed job. The body is that with which the job was begun; a job that this client has begun knows it. */
  async resume(body: unknown = this.#body): Promise<void> {
    [this.#status] = await ask<JobStatus>(this.#transport, { method: "POST", target: this.#target("/resume"), body });
  }

  /** Cancels an unfinished job, or removes a finished one with its result. */
  async delete(): Promise<void> {
    await this.#transport.call({ method: "DELETE", target: this.#target() }, async (answer) => answer.text());
  }

  #target(below = ""): string {
    return `${this.#base}/${encodeURIComponent(this.#status.id)}${below}`;
  }
}

/** Sends a request, and returns the JSON document of the answer, and the wait before the next request in seconds. */
function ask<Read>(transport: Transport, call: Call): Promise<readonly [Read, number]> {
  return transport.call(call, async (answer) => {
    const wait = retryAfter(answer.headers.get("Retry-After")) ?? 2;
    return [(await answer.json()) as Read, wait] as const;
  });
}

/** Begins a job by a POST. `base` is the path of jobs. */
export async function begin(transport: Transport, base: string, call: Call, options: BeginOptions): Promise<Job> {
  const headers = { ...call.headers, "Idempotency-Key": key(options.idempotencyKey ?? crypto.randomUUID()) };
  const [status] = await ask<JobStatus>(transport, { ...call, method: "POST", headers, signal: options.signal });
  return new Job(transport, base, status, call.body);
}

/** Requests the newest jobs of this client. `member` has them in the answer. */
export async function jobs(transport: Transport, base: string, member: string): Promise<readonly Job[]> {
  const [found] = await ask<Record<string, readonly JobStatus[]>>(transport, { method: "GET", target: base });
  return (found[member] ?? []).map((status) => new Job(transport, base, status));
}

/** Writes a text as the value of `Idempotency-Key`, a string of structured fields (RFC 9651). */
function key(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** An operation of a bulk request: with a method and a path, or with a type that the server knows. */
export interface BulkOperation {
  readonly id?: string;
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path?: string;
  readonly type?: string;
  readonly parameters?: Readonly<Record<string, string | number>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface BulkResult {
  readonly id?: string;
  readonly type: string;
  /** True if the status is below 400. */
  readonly success: boolean;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly bodyText?: string;
  readonly bodyBase64?: string;
  /** True if the operation did not begin. */
  readonly skipped?: boolean;
}

export interface BulkResponse {
  /** True if all operations are successful. */
  readonly success: boolean;
  /** The results, in the order of the operations. */
  readonly results: readonly BulkResult[];
  readonly summary: { readonly total: number; readonly successful: number; readonly failed: number; readonly skipped: number };
}

export interface BulkOptions {
  /** No further operation begins after one that has failed. */
  readonly stopOnError?: boolean;
  /** The name of this request, which runs once however often it is sent. Without one, the client doesn't send the
   * request again if it is unknown whether it has run. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** Sends many operations in one request. */
export async function bulk(
  transport: Transport,
  target: string,
  operations: readonly BulkOperation[],
  options: BulkOptions,
): Promise<BulkResponse> {
  const { idempotencyKey, signal, stopOnError = false } = options;
  const headers: Record<string, string> = idempotencyKey === undefined ? {} : { "Idempotency-Key": key(idempotencyKey) };
  const body = { stopOnError, operations };
  const call: Call = { method: "POST", target, headers, body, signal, once: idempotencyKey === undefined };
  return (await ask<BulkResponse>(transport, call))[0];
}

/** The services of a list. */
export interface ListServices {
  readonly exports: boolean;
  /** The time without a message after which a live page is broken, in seconds; null if the list has no live pages. */
  readonly silence: number | null;
}

export interface ExportOrder {
  readonly format?: "ndjson" | "csv" | "json";
  readonly compression?: "none" | "gzip" | "zstd";
  readonly priority?: "low" | "normal" | "high";
  /** The columns of `csv`, in their order. */
  readonly columns?: readonly string[];
  /** `escaped` changes texts of `csv` that spreadsheets read as formulas. */
  readonly formulas?: "kept" | "escaped";
}

/** A list with exports or live pages. */
export class ServedListing<Item> extends Listing<Item> {
  readonly #services: ListServices;

  constructor(
    transport: Transport,
    spec: ListSpec,
    path: Readonly<Record<string, string>>,
    options: ListOptions,
    services: ListServices,
  ) {
    super(transport, spec, path, options);
    this.#services = services;
  }

  /** Begins an export of the list, with its filters and order. */
  export(order: ExportOrder = {}, options: BeginOptions = {}): Promise<Job> {
    const call = { ...this.#exports(), body: order };
    return begin(this.transport, call.target.replace(/\?.*/s, ""), call, options);
  }

  /** Requests the newest exports of this list by this client. */
  exports(): Promise<readonly Job[]> {
    return jobs(this.transport, this.#exports().target.replace(/\?.*/s, ""), "exports");
  }

  #exports(): Call {
    if (!this.#services.exports) throw new TypeError("this list has no exports");
    return this.call({}, "/exports");
  }

  /** Yields the page at `cursor`, or the first page, and again after each of its changes, until you end the iteration.
   * A stream that breaks off is opened again. */
  async *live(): AsyncGenerator<Page<Item>, void, undefined> {
    const { silence } = this.#services;
    if (silence === null) throw new TypeError("this list has no live pages");
    const { base } = this.transport;
    const cursor = this.options.cursor ?? null;
    let [id, page, headers] = [null as string | null, undefined as unknown, new Headers()];
    for (let failures = 0; ; failures += 1) {
      const call = this.call({}, "/live");
      const last = id === null ? {} : { "Last-Event-ID": id };
      const stream = await this.transport.call({ ...call, headers: { ...call.headers, ...last } }, async (answer) => answer.body);
      let wait = Math.min(30, FIRST_WAIT * 2 ** failures);
      for await (const message of messages(stream, silence)) {
        failures = 0;
        if (message.type === "closing") wait = (message.retryAfter ?? 0) / 1000;
        if (message.type === "error" && message.final) throw new ApiError(message.status ?? 0, { ...message }, null, message);
        if (message.type !== "paginatedData" && message.type !== "patch") continue;
        if (message.type === "patch" && message.from !== id) {
          // The client has another page, so it asks for the whole page.
          id = null;
          break;
        }
        if (message.type === "patch" && message.patch?.length === 0) continue;
        page = message.type === "patch" ? patched(page, message.patch ?? []) : message.page;
        headers = message.headers === undefined ? headers : new Headers(message.headers);
        id = message.id ?? null;
        yield pageOf<Item>(this.spec, headers, page, cursor, base);
      }
      if (failures > 5) throw new ConnectionError("the stream breaks off before a message");
      await pause(wait, this.options.signal);
    }
  }
}

interface LiveMessage {
  readonly type: string;
  readonly id?: string;
  readonly from?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly page?: unknown;
  readonly patch?: readonly Operation[];
  readonly final?: boolean;
  readonly status?: number;
  readonly retryAfter?: number;
}

/** An operation of a JSON Patch (RFC 6902), as the server writes it. */
interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

/** Yields the messages of a stream of events, until it ends, breaks off, or is silent for too long. */
async function* messages(stream: ReadableStream<Uint8Array> | null, silence: number): AsyncGenerator<LiveMessage, void, undefined> {
  if (stream === null) return;
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const timer = setTimeout(() => void reader.cancel(), silence * 1000);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      // The server writes each message as one line of data.
      for (const line of lines) if (line.startsWith("data: ")) yield JSON.parse(line.slice(6)) as LiveMessage;
    }
  } catch (error) {
    // A stream that breaks off is opened again.
    if (!(error instanceof TypeError)) throw error;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Returns a copy of a document with these changes. */
function patched(document: unknown, patch: readonly Operation[]): unknown {
  const root: Record<string, unknown> = { "": structuredClone(document) };
  const place = (path: string): readonly [Record<string, unknown>, string] => {
    const steps = path.split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
    const name = steps.pop() ?? "";
    return [steps.reduce((value, step) => value[step] as Record<string, unknown>, root), name];
  };
  const take = (path: string): unknown => {
    const [holder, name] = place(path);
    const value = holder[name];
    if (Array.isArray(holder)) holder.splice(Number(name), 1);
    else delete holder[name];
    return value;
  };
  for (const { op, path, from, value } of patch) {
    const next = op === "move" ? take(from ?? "") : value;
    if (op === "remove") {
      take(path);
      continue;
    }
    const [holder, name] = place(path);
    if (!Array.isArray(holder)) {
      // An assignment to `__proto__` would change no member.
      Object.defineProperty(holder, name, { value: next, configurable: true, enumerable: true, writable: true });
    } else {
      holder.splice(name === "-" ? holder.length : Number(name), op === "replace" ? 1 : 0, next);
    }
  }
  return root[""];
}
