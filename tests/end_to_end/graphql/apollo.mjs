// Walks connections with an unmodified Apollo Client over HTTP: `relayStylePagination` by `first` and `after` to the end, by
// `last` and `before` to the start, spliced in the middle, and with queries that are sent as hashes.

import { createHash } from "node:crypto";

import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { relayStylePagination } from "@apollo/client/utilities";

const [uri, limit] = process.argv.slice(2);
const size = Number(limit);

const USERS = gql`
  query Users($first: Int, $after: String, $last: Int, $before: String) {
    users(first: $first, after: $after, last: $last, before: $before) {
      totalCount
      edges {
        cursor
        node {
          id
          score
          note
        }
      }
      pageInfo {
        hasNextPage
        hasPreviousPage
        startCursor
        endCursor
      }
    }
  }
`;

const sha256 = async (text) => createHash("sha256").update(text).digest("hex");

async function query(variables, { persisted = false, get = false } = {}) {
  const cache = new InMemoryCache({ typePolicies: { Query: { fields: { users: relayStylePagination() } } } });
  const http = new HttpLink({ uri, headers: get ? { "Apollo-Require-Preflight": "true" } : {} });
  const link = persisted ? new PersistedQueryLink({ sha256, useGETForHashedQueries: get }).concat(http) : http;
  const client = new ApolloClient({ cache, link });
  const observed = client.watchQuery({ query: USERS, variables });
  await new Promise((next, failed) =>
    observed.subscribe({ next: ({ loading, error }) => (error ? failed(error) : loading || next()), error: failed }),
  );
  const users = () => client.readQuery({ query: USERS }).users;
  return { observed, users, items: () => users().edges.map(({ node: { id, score, note } }) => ({ id, score, note })) };
}

async function toTheEnd({ observed, users }) {
  while (users().pageInfo.hasNextPage)
    await observed.fetchMore({ variables: { first: size, after: users().pageInfo.endCursor } });
}

const forward = await query({ first: size });
const { totalCount: total } = forward.users();
await toTheEnd(forward);
const walked = forward.users();

const backward = await query({ last: size });
while (backward.users().pageInfo.hasPreviousPage)
  await backward.observed.fetchMore({ variables: { last: size, before: backward.users().pageInfo.startCursor } });

// Thirty of fifty-nine edges are kept, because the edge is found by the cursor that it had in the walk above.
const spliced = await query({ first: 59 });
await spliced.observed.fetchMore({ variables: { first: size, after: walked.edges[29].cursor } });
const kept = spliced.users().edges.length - size;
if (kept !== 30) throw new Error(`${kept} of 59 edges were kept`);
await toTheEnd(spliced);

const hashed = await query({ first: size }, { persisted: true });
await toTheEnd(hashed);
const fetched = await query({ first: size }, { persisted: true, get: true });
await toTheEnd(fetched);

const walks = {
  "by hash": hashed.items(),
  "by hash, GET": fetched.items(),
  "first, after": forward.items(),
  "last, before": backward.items(),
  spliced: spliced.items(),
};
console.log(JSON.stringify({ walks, total }));
