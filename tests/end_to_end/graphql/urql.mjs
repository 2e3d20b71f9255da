// Walks connections with an unmodified urql and its normalized cache: `relayPagination` puts the pages together, forward and
// backward, and with queries that are sent as hashes.

import { Client, fetchExchange, gql } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { persistedExchange } from "@urql/exchange-persisted";

const [url, limit] = process.argv.slice(2);
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

function client(mergeMode, more = []) {
  const cache = cacheExchange({ resolvers: { Query: { users: relayPagination({ mergeMode }) } } });
  return new Client({ url, preferGetMethod: false, exchanges: [cache, ...more, fetchExchange] });
}

async function page(asked, variables) {
  const { data, error } = await asked.query(USERS, variables).toPromise();
  if (error) throw error;
  return data.users;
}

async function walk(asked, next) {
  let users = await page(asked, next());
  for (;;) {
    const variables = next(users.pageInfo);
    if (!variables) break;
    users = await page(asked, variables);
  }
  return users;
}

const items = ({ edges }) => edges.map(({ node: { id, score, note } }) => ({ id, score, note }));
const forward = (info) =>
  !info ? { first: size } : info.hasNextPage ? { first: size, after: info.endCursor } : undefined;
const backward = (info) =>
  !info ? { last: size } : info.hasPreviousPage ? { last: size, before: info.startCursor } : undefined;

const { totalCount: total } = await page(client("inwards"), forward());
const there = await walk(client("inwards"), forward);
const back = await walk(client("inwards"), backward);
const hashed = await walk(client("inwards", [persistedExchange({ preferGetForPersistedQueries: false })]), forward);

const walks = { "by hash": items(hashed), "first, after": items(there), "last, before": items(back) };
console.log(JSON.stringify({ walks, total }));
