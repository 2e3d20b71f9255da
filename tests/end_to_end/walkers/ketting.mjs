// Walks HAL and JSON:API with ketting, which follows relations. Ketting makes a resource of each embedded item of HAL, which
// needs the item's own `self` link. The upstream writes that link, as Spring Data REST does.

import { Client } from "ketting";

const [base, limit] = process.argv.slice(2);
const client = new Client(base);

const items = (state) =>
  state.data.jsonapi
    ? state.data.data.map(({ id, attributes }) => ({ id: Number(id), ...attributes }))
    : state.getEmbedded().map(({ uri, data }) => ({ ...data, _links: { self: { href: new URL(uri).pathname } } }));

const forward = [];
let state = await client.go(`/users?size=${limit}`).get();
for (;;) {
  forward.push(items(state));
  if (!state.links.has("next")) break;
  state = await (await state.follow("next")).get();
}

const backward = [items(state)];
while (state.links.has("prev")) {
  state = await (await state.follow("prev")).get();
  backward.unshift(items(state));
}

console.log(JSON.stringify({ "follow next": forward.flat(), "follow prev": backward.flat() }));
