// Reads a list page by page with TanStack Query, like a table whose reader presses "next" up to the end, and then
// "previous" back to the start:
//
//     node pages.js 'https://api.example.com/users?cursor=start&limit=100'
//
// Writes the items of the walk forward as lines to standard output, and the numbers of items of both walks to standard
// error.

import { QueryClient } from "@tanstack/query-core";
import { type Page, Refused, fetchPage, retrying } from "./list.js";

const list = process.argv[2]!;
const client = new QueryClient();

/** Returns the page at a cursor, or the first page for null. */
function show(cursor: string | null): Promise<Page<unknown>> {
  return client.fetchQuery({
    queryKey: ["list", list, cursor],
    queryFn: ({ signal }) => fetchPage<unknown>(list, cursor, signal),
    ...retrying,
  });
}

try {
  let page = await show(null);
  const items = [...page.data];
  while (page.pagination.nextCursor !== null) {
    page = await show(page.pagination.nextCursor);
    items.push(...page.data);
  }
  for (const item of items) console.log(JSON.stringify(item));
  let back = page.data.length;
  while (page.pagination.prevCursor !== null) {
    page = await show(page.pagination.prevCursor);
    back += page.data.length;
  }
  console.error(`${items.length} items, ${back} on the way back`);
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.error(error.restart === undefined ? error.message : `${error.message}\nBegin again: ${error.restart}`);
  process.exitCode = 1;
}
client.clear();
