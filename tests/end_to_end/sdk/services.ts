// Uses the services of a gateway with the client that `cursorgate sdk` wrote: `node services.js URL`. Prints what they did.

import { ApiError, Client, JobError } from "../src/index.js";

const [, , baseUrl = ""] = process.argv;
const client = new Client({ baseUrl, headers: { Authorization: "Bearer one" } });
const told: Record<string, unknown> = {};

const job = await client.users({ filters: { score__gte: 100 }, sort: ["-score", "id"] }).export({ format: "ndjson" });
const { state, items } = await job.wait();
const lines = (await (await job.result()).text()).trimEnd().split("\n");
told["export"] = [state, items, lines.map((line) => (JSON.parse(line) as { id: number }).id)];
told["same"] = (await client.users().exports()).map((one) => one.status.id === job.status.id);
await job.delete();
told["deleted"] = await job.refresh().catch((error: unknown) => (error instanceof ApiError ? error.code : error));

const notes: string[][] = [];
for await (const page of client.users({ limit: 3 }).live()) {
  notes.push(page.items.map((row) => row.note ?? ""));
  if (notes.length === 2) break;
  const { success, results } = await client.bulk([
    { id: "a", method: "PUT", path: `/users/${page.items[1]?.id ?? 0}`, body: {} },
    { method: "GET", path: "/nowhere" },
  ]);
  told["bulk"] = [success, results.map((result) => [result.id ?? null, result.success, result.status])];
}
told["live"] = notes;

const report = await client.job("reports", { month: "2026-11" }, { idempotencyKey: 'a "quoted" key' });
const again = await client.job("reports", { month: "2026-11" }, { idempotencyKey: 'a "quoted" key' });
await report.wait();
told["job"] = [again.status.id === report.status.id, await (await report.result()).json(), (await client.jobs()).length];
const refused = await client.job("reports", { fails: true });
told["failed"] = await refused.wait().catch((error: unknown) =>
  error instanceof JobError ? [error.status.state, error.status.error?.status] : error,
);
await refused.resume();
told["resumed"] = (await refused.wait().catch((error: unknown) => error)) instanceof JobError;
told["not live"] = await client.others().live().next().catch((error: unknown) => error instanceof TypeError);

// The types refuse each of these calls.
// @ts-expect-error no such queue
void (() => client.job("others", {}));
// @ts-expect-error no such format
void (() => client.users().export({ format: "xlsx" }));

console.log(JSON.stringify(told));
