// Walks pages with `pageInfo` by infinite queries of TanStack Query: all pages at once, page by page from the start, back from
// the last page, and in both directions from the middle of the list. Finally all pages are read again, as for stale queries.

import { InfiniteQueryObserver, QueryClient } from "@tanstack/query-core";

const [base, limit] = process.argv.slice(2);
const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
client.mount();

const options = (name, place) => ({
  queryKey: [name],
  initialPageParam: place,
  queryFn: async ({ pageParam }) => {
    const response = await fetch(`${base}/users?${new URLSearchParams({ limit, ...pageParam })}`);
    if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
    return response.json();
  },
  getNextPageParam: ({ pageInfo }) => (pageInfo.hasNextPage ? { after: pageInfo.endCursor } : undefined),
  getPreviousPageParam: ({ pageInfo }) => (pageInfo.hasPreviousPage ? { before: pageInfo.startCursor } : undefined),
});

const items = ({ pages }) => pages.flatMap(({ data }) => data);

async function walk(name, place) {
  const observer = new InfiniteQueryObserver(client, { ...options(name, place), enabled: false });
  const stop = observer.subscribe(() => {});
  const loud = { throwOnError: true };
  let result = await observer.refetch(loud);
  while (result.hasPreviousPage) result = await observer.fetchPreviousPage(loud);
  while (result.hasNextPage) result = await observer.fetchNextPage(loud);
  const walked = items(result.data);
  const again = await observer.refetch(loud);
  stop();
  return [walked, items(again.data)];
}

const all = await client.fetchInfiniteQuery({ ...options("all", {}), pages: 1_003 });
const [forward, again] = await walk("forward", {});
const [back] = await walk("back", { before: all.pages.at(-1).pageInfo.startCursor });
const [both, bothAgain] = await walk("both ways", { after: all.pages[3].pageInfo.endCursor });
client.unmount();

console.log(
  JSON.stringify({
    "fetchInfiniteQuery": items(all),
    "fetchNextPage": forward,
    "fetchNextPage, refetched": again,
    "fetchPreviousPage": back,
    "both ways": both,
    "both ways, refetched": bothAgain,
  }),
);
