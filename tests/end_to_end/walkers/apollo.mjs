// Walks connections with Apollo Client's `relayStylePagination`; a link answers in place of a GraphQL server. The walks are by
// `first` and `after` to the end, and by `last` and `before` to the start. Apollo Client splices pages at edges with equal
// cursors, so cursors of one walk are also used in another walk with another page size.

import { ApolloClient, ApolloLink, InMemoryCache, Observable, gql } from "@apollo/client";
import { relayStylePagination } from "@apollo/client/utilities";

const [base, limit] = process.argv.slice(2);
const size = Number(limit);

const USERS = gql`
  query Users($first: Int, $after: String, $last: Int, $before: String) {
    users(first: $first, after: $after, last: $last, before: $before) {
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

async function connection(variables) {
  const said = Object.entries(variables).filter(([, value]) => value != null);
  const response = await fetch(`${base}/users?${new URLSearchParams(said)}`);
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  const { edges, pageInfo } = await response.json();
  // A GraphQL server would add these members.
  return {
    __typename: "UserConnection",
    edges: edges.map(({ cursor, node }) => ({ __typename: "UserEdge", cursor, node: { __typename: "User", ...node } })),
    pageInfo: { __typename: "PageInfo", ...pageInfo },
  };
}

const link = new ApolloLink(
  ({ variables }) =>
    new Observable((observer) => {
      connection(variables).then(
        (users) => {
          observer.next({ data: { users } });
          observer.complete();
        },
        (fault) => observer.error(fault),
      );
    }),
);

async function query(variables) {
  const cache = new InMemoryCache({ typePolicies: { Query: { fields: { users: relayStylePagination() } } } });
  const client = new ApolloClient({ cache, link });
  const observed = client.watchQuery({ query: USERS, variables });
  await new Promise((next, error) => observed.subscribe({ next: ({ loading }) => loading || next(), error }));
  const users = () => client.readQuery({ query: USERS }).users;
  return { observed, users, items: () => users().edges.map(({ node: { id, score, note } }) => ({ id, score, note })) };
}

async function toTheEnd({ observed, users }) {
  while (users().pageInfo.hasNextPage)
    await observed.fetchMore({ variables: { first: size, after: users().pageInfo.endCursor } });
}

const forward = await query({ first: size });
await toTheEnd(forward);
const walked = forward.users();

const backward = await query({ last: size });
while (backward.users().pageInfo.hasPreviousPage)
  await backward.observed.fetchMore({ variables: { last: size, before: backward.users().pageInfo.startCursor } });

// Thirty of fifty-nine are kept, because the edge is found by the cursor that it had in the walk above.
const spliced = await query({ first: 59 });
await spliced.observed.fetchMore({ variables: { first: size, after: walked.edges[29].cursor } });
const kept = spliced.users().edges.length - size;
if (kept !== 30) throw new Error(`${kept} of 59 edges were kept`);
await toTheEnd(spliced);

console.log(
  JSON.stringify({ "first, after": forward.items(), "last, before": backward.items(), "spliced": spliced.items() }),
);
