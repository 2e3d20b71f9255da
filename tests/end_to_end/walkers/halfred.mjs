// Walks HAL documents, which halfred parses: by `next` to the end, and by `prev` back to the start. Items need no links.

import halfred from "halfred";

const [base, limit] = process.argv.slice(2);

async function page(href) {
  const response = await fetch(new URL(href, base));
  if (!response.ok) throw new Error(`${href}: ${response.status} ${await response.text()}`);
  const parser = halfred.enableValidation();
  const resource = halfred.parse(await response.json());
  // Items may lack links, because the upstream writes the items. The page's own links must be valid.
  const issues = resource.validationIssues().filter(({ path }) => !path.includes("_embedded"));
  if (issues.length) throw new Error(`${href}: ${JSON.stringify(issues)}`);
  return resource;
}

const items = (resource) => resource.embeddedResourceArray("users").map((item) => item.original());

const forward = [];
let resource = await page(`/users?size=${limit}`);
for (;;) {
  forward.push(items(resource));
  const next = resource.link("next");
  if (!next) break;
  resource = await page(next.href);
}

const backward = [items(resource)];
for (let prev; (prev = resource.link("prev")); ) {
  resource = await page(prev.href);
  backward.unshift(items(resource));
}

console.log(JSON.stringify({ "next": forward.flat(), "prev": backward.flat() }));
