// Tests of the client, with answers in the form that the server writes.

import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { ApiError, Client, InvalidPageError, type Listing } from "../src/index.js";

interface Sample {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Input {
  readonly place: string;
  readonly name: readonly string[];
}

/** A list: the call that reads it, the places of cursor and limit in its requests, and samples of its answers. */
interface Case {
  readonly name: string;
  readonly call: (client: Client, options: { limit?: number; cursor?: string | null }) => Listing<unknown>;
  readonly cursor: Input;
  readonly limit: Input | null;
  readonly path: string;
  readonly first: Sample;
  readonly last: Sample;
  readonly expired: Sample;
  readonly busy: Sample;
}

const CASES: readonly Case[] = [
{cases}
];

interface Seen {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly prefer: string;
  readonly body: unknown;
}

async function body(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 0 ? null : JSON.parse(Buffer.concat(chunks).toString());
}

/** Returns the value of an input in a request. */
function value(seen: Seen, input: Input): string | null {
  if (input.place === "query") return seen.query.get(input.name[0] ?? "");
  if (input.place === "prefer") return new RegExp(`${input.name[0] ?? ""}=(\\d+)`).exec(seen.prefer)?.[1] ?? null;
  const found = input.name.reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], seen.body);
  return found === undefined ? null : String(found);
}

/** Runs `during` with a server that sends these answers in order. */
async function serve(answers: readonly Sample[], during: (url: string, seen: Seen[]) => Promise<void>): Promise<void> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? "/", "http://localhost");
      const prefer = String(request.headers["prefer"] ?? "");
      seen.push({ path: decodeURIComponent(url.pathname), query: url.searchParams, prefer, body: await body(request) });
      const answer = answers[seen.length - 1] ?? { status: 500, headers: {}, body: "one request too many" };
      response.writeHead(answer.status, answer.headers).end(answer.body);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await during(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

for (const one of CASES) {
  test(`${one.name} is read to its end`, async () => {
    await serve([one.first, one.last], async (baseUrl, seen) => {
      const items: unknown[] = [];
      for await (const item of one.call(new Client({ baseUrl }), { limit: 2 })) items.push(item);
      assert.equal(items.length, 3);
      assert.ok(items.every((item) => item !== undefined));
      assert.deepEqual(seen.map((request) => value(request, one.cursor)), ["start", "second"]);
      assert.deepEqual(seen.map((request) => request.path), [one.path, one.path]);
      if (one.limit !== null) assert.deepEqual(seen.map((request) => value(request, one.limit!)), ["2", "2"]);
    });
  });

  test(`${one.name} continues from a page`, async () => {
    await serve([one.first, one.last], async (baseUrl) => {
      const client = new Client({ baseUrl });
      const first = await one.call(client, {}).page();
      assert.equal(first.items.length, 2);
      assert.equal(first.next, "second");
      const last = await one.call(client, { cursor: first.next }).page();
      assert.equal(last.items.length, 1);
      assert.equal(last.next, null);
    });
  });

  test(`${one.name} waits as long as Retry-After requests, up to a limit`, async () => {
    await serve([one.busy, one.last], async (baseUrl, seen) => {
      assert.equal((await one.call(new Client({ baseUrl }), {}).page()).items.length, 1);
      assert.equal(seen.length, 2);
    });
    const long = { ...one.busy, headers: { ...one.busy.headers, "Retry-After": "3600" } };
    await serve([long], async (baseUrl, seen) => {
      await assert.rejects(one.call(new Client({ baseUrl }), {}).page(), (error: unknown) => {
        assert.ok(error instanceof ApiError);
        assert.deepEqual([error.status, error.code, error.retryAfter], [429, "rate_limited", 3600]);
        return true;
      });
      assert.equal(seen.length, 1);
    });
    await serve([one.busy], async (baseUrl) => {
      await assert.rejects(one.call(new Client({ baseUrl, retries: 0 }), {}).page(), ApiError);
    });
  });

  test(`${one.name} does not start again by itself`, async () => {
    await serve([one.first, one.expired], async (baseUrl, seen) => {
      const items: unknown[] = [];
      await assert.rejects(
        async () => {
          for await (const item of one.call(new Client({ baseUrl }), {})) items.push(item);
        },
        (error: unknown) => {
          assert.ok(error instanceof ApiError);
          assert.deepEqual([error.status, error.code], [410, "cursor_expired"]);
          assert.ok(error.detail !== null && error.detail.length > 0);
          assert.equal(error.requestId, "request-1");
          return true;
        },
      );
      assert.deepEqual([items.length, seen.length], [2, 2]);
    });
  });

  test(`${one.name} refuses a page that leads to itself, and an answer that is not a page`, async () => {
    await serve([one.first], async (baseUrl) => {
      await assert.rejects(one.call(new Client({ baseUrl }), { cursor: "second" }).page(), InvalidPageError);
    });
    const { "Cursorgate-Level": _, ...headers } = one.last.headers;
    await serve([{ ...one.last, headers }], async (baseUrl) => {
      await assert.rejects(one.call(new Client({ baseUrl }), {}).page(), InvalidPageError);
    });
    await serve([{ status: 200, headers: {}, body: "<html>" }], async (baseUrl) => {
      await assert.rejects(one.call(new Client({ baseUrl }), {}).page(), InvalidPageError);
    });
  });

  test(`${one.name} refuses an answer that has items and does not say whether more follow`, async () => {
    const page: unknown = JSON.parse(one.last.body);
    const members = Object.entries(page as Record<string, unknown>).filter(([, value]) => Array.isArray(value));
    const bare = JSON.stringify(Array.isArray(page) ? page : Object.fromEntries(members.slice(0, 1)));
    await serve([{ status: 200, headers: { "Content-Type": "application/json" }, body: bare }], async (baseUrl) => {
      await assert.rejects(one.call(new Client({ baseUrl }), {}).page(), InvalidPageError);
    });
  });
}
