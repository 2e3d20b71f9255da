import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Refused, fetchPage, retrying } from "../list.js";

interface User {
  id: number;
  name: string;
}

/** Shows a list of users that grows with each page. */
export function UserFeed({ list }: { list: string }) {
  const client = useQueryClient();
  const queryKey = ["users", "feed", list];
  const users = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) => fetchPage<User>(list, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.pagination.nextCursor,
    staleTime: 60_000,
    ...retrying,
  });
  if (users.isPending) return <p>Loading…</p>;
  const items = users.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <>
      <ul>{items.map((user) => <li key={user.id}>{user.name}</li>)}</ul>
      {users.error && (
        <p role="alert">
          {users.error.message}{" "}
          {users.error instanceof Refused && users.error.restart !== undefined
            ? <button onClick={() => client.resetQueries({ queryKey })}>Begin again</button>
            : <button onClick={() => users.fetchNextPage()}>Try again</button>}
        </p>
      )}
      {users.data && (
        <button disabled={!users.hasNextPage || users.isFetching} onClick={() => users.fetchNextPage()}>
          {users.isFetchingNextPage ? "Loading…" : users.hasNextPage ? "More" : `All ${items.length}`}
        </button>
      )}
    </>
  );
}
