// Walks JSON:API with kitsu, which writes `page[size]`, `page[after]` and `page[before]`, and merges the id, type, attributes
// and meta of each resource. The profile has links of pages and cursors of items, so there is a walk by each.

import Kitsu from "kitsu";

const [base, size] = process.argv.slice(2);
const api = new Kitsu({ baseURL: base });

const page = (place) => api.get("users", { params: { page: { size, ...place } } });
const named = (link, name) => link && new URL(link, base).searchParams.get(`page[${name}]`);
const items = ({ data }) =>
  data.map(({ type, meta, id, ...attributes }) => {
    if (type !== "users" || !meta.page.cursor) throw new Error(`no resource of this profile: ${type} ${id}`);
    return { id: Number(id), ...attributes };
  });

// `after` and `before` return the cursor from which to continue, or nothing at the end.
async function walk(after, before) {
  const forward = [];
  let answer = await page({});
  for (;;) {
    forward.push(items(answer));
    const place = after(answer);
    if (!place) break;
    answer = await page({ after: place });
  }
  const backward = [items(answer)];
  for (let place; (place = before(answer)); ) {
    answer = await page({ before: place });
    backward.unshift(items(answer));
  }
  return [forward.flat(), backward.flat()];
}

const byLinks = await walk(
  ({ links }) => named(links.next, "after"),
  ({ links }) => named(links.prev, "before"),
);
const byItems = await walk(
  ({ links, data }) => links.next && data.at(-1).meta.page.cursor,
  ({ links, data }) => links.prev && data[0].meta.page.cursor,
);

console.log(
  JSON.stringify({
    "links.next": byLinks[0],
    "links.prev": byLinks[1],
    "cursors of last items": byItems[0],
    "cursors of first items": byItems[1],
  }),
);
