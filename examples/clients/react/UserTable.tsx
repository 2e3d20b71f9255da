import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Refused, fetchPage, retrying } from "../list.js";

interface User {
  id: number;
  name: string;
}

/** Shows a table of users, one page at a time. */
export function UserTable({ list }: { list: string }) {
  const [cursor, setCursor] = useState<string | null>(null);
  const users = useQuery({
    queryKey: ["users", "table", list, cursor],
    queryFn: ({ signal }) => fetchPage<User>(list, cursor, signal),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    ...retrying,
  });
  if (users.isPending) return <p>Loading…</p>;
  if (users.isError) {
    const isOver = cursor !== null && users.error instanceof Refused && users.error.restart !== undefined;
    return (
      <p role="alert">
        {users.error.message}{" "}
        {isOver
          ? <button onClick={() => setCursor(null)}>Begin again</button>
          : <button onClick={() => users.refetch()}>Try again</button>}
      </p>
    );
  }
  const { data, pagination } = users.data;
  const busy = users.isPlaceholderData;
  return (
    <>
      <table aria-busy={busy}>
        <thead><tr><th scope="col">Id</th><th scope="col">Name</th></tr></thead>
        <tbody>{data.map((user) => <tr key={user.id}><td>{user.id}</td><td>{user.name}</td></tr>)}</tbody>
      </table>
      <button disabled={busy || pagination.prevCursor === null} onClick={() => setCursor(null)}>First</button>
      <button disabled={busy || pagination.prevCursor === null} onClick={() => setCursor(pagination.prevCursor)}>Previous</button>
      <button disabled={busy || pagination.nextCursor === null} onClick={() => setCursor(pagination.nextCursor)}>Next</button>
      {pagination.total !== null && <span>{pagination.total} users</span>}
    </>
  );
}
