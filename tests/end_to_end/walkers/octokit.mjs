// Walks lists with Octokit's plugin for paging, which follows `rel="next"` of `Link` and expects arrays. It can't walk back.

import { Octokit } from "@octokit/core";
import { paginateRest } from "@octokit/plugin-paginate-rest";

const [base, limit, , path = "/users"] = process.argv.slice(2);
const octokit = new (Octokit.plugin(paginateRest))({ baseUrl: base });

const whole = await octokit.paginate(`GET ${path}`, { limit });
const pages = [];
for await (const { data } of octokit.paginate.iterator(`GET ${path}`, { limit })) pages.push(data);

console.log(JSON.stringify({ "paginate": whole, "paginate.iterator": pages.flat() }));
