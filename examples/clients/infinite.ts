// Reads a list to its end with an infinite query of TanStack Query, like a page whose reader scrolls:
//
//     node infinite.js 'https://api.example.com/users?cursor=start&limit=100'
//
// Writes each item as a line to standard output, and the number of items to standard error.

import { InfiniteQueryObserver, QueryClient } from "@tanstack/query-core";
import { Refused, fetchPage, retrying } from "./list.js";

const list = process.argv[2]!;
const client = new QueryClient();
client.mount();

const observer = new InfiniteQueryObserver(client, {
  queryKey: ["list", list],
  queryFn: ({ pageParam, signal }) => fetchPage<unknown>(list, pageParam, signal),
  initialPageParam: null as string | null,
  getNextPageParam: (page) => page.pagination.nextCursor,
  ...retrying,
  enabled: false,
});
const stop = observer.subscribe(() => {});

// Without data, the next page is the first page.
let result = await observer.fetchNextPage();
while (result.hasNextPage && !result.isError) result = await observer.fetchNextPage();

if (result.error instanceof Refused) {
  const { message, restart } = result.error;
  console.error(restart === undefined ? message : `${message}\nBegin again: ${restart}`);
  process.exitCode = 1;
} else if (result.error) {
  throw result.error;
} else {
  const items = result.data!.pages.flatMap((page) => page.data);
  for (const item of items) console.log(JSON.stringify(item));
  console.error(`${items.length} items`);
}
stop();
client.unmount();
client.clear();
