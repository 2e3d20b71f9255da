// Walks the lists of a gateway with the client that `cursorgate sdk` wrote: `node walk.js URL`. Prints the ids of each walk.

import { ApiError, Client, InvalidPageError, type Listing, type Page, type Row } from "../src/index.js";

const [, , baseUrl = ""] = process.argv;
const client = new Client({ baseUrl });
const walks: Record<string, unknown> = {};

async function ids(listing: Listing<{ id?: unknown }>): Promise<number[]> {
  const found: number[] = [];
  for await (const item of listing) found.push(Number(item.id));
  return found;
}

walks["aip"] = await ids(client.aip({ limit: 100 }));
walks["bare"] = await ids(client.bare({ limit: 100 }));
walks["batch"] = await ids(client.batch({ limit: 100, body: { requester_service: { name: "walker" } } }));
walks["drf"] = await ids(client.drf({ limit: 100 }));
walks["hal"] = await ids(client.hal({ limit: 100 }));
walks["jsonapi"] = await ids(client.jsonapi({ limit: 100 }));
walks["odata"] = await ids(client.odata({ limit: 100 }));
walks["ogc"] = await ids(client.ogc({ limit: 100 }));
walks["page-info"] = await ids(client.pageInfo({ limit: 100 }));
walks["relay"] = await ids(client.relay({ limit: 100 }));
walks["standard"] = await ids(client.standard({ limit: 100 }));
walks["stripe"] = await ids(client.stripe({ limit: 100 }));
walks["team"] = await ids(client.teamUsers({ team: "a b" }, { limit: 100 }));
walks["backwards"] = await ids(client.standard({ limit: 200, sort: ["score", "-id"] }));
walks["filtered"] = await ids(client.standard({ limit: 50, filters: { score__gte: 100 } }));

// One walk reads whole pages, and another walk continues after one of these pages.
const scores: number[] = [];
let resumed: Page<Row> | null = null;
for await (const page of client.standard({ limit: 400 }).pages()) {
  scores.push(...page.items.map((row) => row.score + 0));
  resumed = page;
  break;
}
walks["total"] = resumed?.total;
walks["resumed"] = [...(resumed?.items ?? []).map((row) => row.id), ...(await ids(client.standard({ cursor: resumed?.next ?? null })))];

try {
  await client.drf({ cursor: "garbage" }).page();
} catch (error) {
  if (!(error instanceof ApiError)) throw error;
  walks["error"] = [error.status, error.code, error.restart !== null, error.requestId !== null];
}
walks["kept apart"] = new InvalidPageError("x") instanceof ApiError;

// The types refuse each of these calls.
// @ts-expect-error no such sort
client.standard({ sort: ["note"] });
// @ts-expect-error no such argument
client.standard({ page: 2 });
// @ts-expect-error the parameter of the path is missing
client.teamUsers({});
for (const row of resumed?.items ?? []) {
  // @ts-expect-error no such member
  row.name;
  const note: string | null | undefined = row.note;
  if (note === undefined) throw new Error("no note");
}

console.log(JSON.stringify(walks));
