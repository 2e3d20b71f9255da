// Reads lists through cursorgate: pages and problems, for use with any data-fetching library.

/** A page in the envelope `standard`. */
export interface Page<Item> {
  data: Item[];
  pagination: {
    total: number | null;
    pageSize: number;
    nextCursor: string | null;
    prevCursor: string | null;
    hasMore: boolean;
  };
}

/** An answer that isn't a page. */
export class Refused extends Error {
  readonly status: number;
  /** The stable code of the problem; undefined if the answer isn't from cursorgate. */
  readonly code: string | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** The wait that the server requests, in milliseconds; undefined if it requests none. */
  readonly retryAfter: number | undefined;
  /** A link to the first page of this list, if the cursor is no longer valid. */
  readonly restart: string | undefined;

  constructor(response: Response, problem: Record<string, unknown>) {
    super(`${response.status} ${problem["code"] ?? ""}: ${problem["detail"] ?? response.statusText}`);
    this.status = response.status;
    const text = (name: string) => (typeof problem[name] === "string" ? (problem[name] as string) : undefined);
    this.code = text("code");
    this.restart = text("restart");
    this.retryable =
      typeof problem["retryable"] === "boolean" ? problem["retryable"] : [429, 502, 503, 504].includes(response.status);
    const seconds = response.headers.get("Retry-After") ?? "";
    this.retryAfter = /^\d+$/.test(seconds) ? Number(seconds) * 1_000 : undefined;
  }
}

/** Fetches the page of a list at a cursor, or its first page for null. */
export async function fetchPage<Item>(list: string, cursor: string | null, signal?: AbortSignal): Promise<Page<Item>> {
  const url = new URL(list);
  if (cursor !== null) url.searchParams.set("cursor", cursor);
  const response = await fetch(url, { signal: signal ?? null });
  if (response.ok) return (await response.json()) as Page<Item>;
  const problem: unknown = await response.json().catch(() => ({}));
  throw new Refused(response, problem !== null && typeof problem === "object" ? (problem as Record<string, unknown>) : {});
}

/** Options of TanStack Query: a query is retried if the server says that this may help, or if there was no answer. */
export const retrying = {
  retry: (failures: number, error: Error) => failures < 4 && (!(error instanceof Refused) || error.retryable),
  retryDelay: (failures: number, error: Error) =>
    (error instanceof Refused ? error.retryAfter : undefined) ?? Math.min(1_000 * 2 ** failures, 30_000),
};
