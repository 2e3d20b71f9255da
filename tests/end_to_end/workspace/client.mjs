// Reads the seven lists of a workspace API to their ends with the loop that the guides of such APIs give to clients, and
// prints the ids of each. The arguments are the base URL, and the cursor of the first page, or nothing.

import http from "node:http";

const [base, first] = process.argv.slice(2);

const LISTS = [
  ["/projects", { teamId: "team-1", userId: "user-2" }],
  ["/projects/members", {}, { projectId: "project-3", memberId: "user-2" }],
  ["/teams/user-teams", { userId: "user-2" }],
  ["/teams/members", { teamId: "team-1" }],
  ["/documents", {}, { projectId: "project-3", userId: "user-2" }],
  ["/audit-logs", { action: "update" }],
  ["/audit-logs/user/user-2", {}],
];

// `fetch` sends no body by GET, so requests with one are made as older clients make them.
function getWithBody(url, body) {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) };
    const request = http.request(url, { method: "GET", headers }, async (response) => {
      let answer = "";
      for await (const part of response) answer += part;
      resolve({ ok: response.statusCode === 200, status: response.statusCode, json: () => JSON.parse(answer) });
    });
    request.on("error", reject);
    request.end(text);
  });
}

async function loadAll(path, filters, body) {
  const items = [];
  let cursor = first ?? null;
  let hasMore = true;
  while (hasMore) {
    const params = new URLSearchParams({ ...filters, ...(cursor && { cursor }) });
    const url = `${base}${path}?${params}`;
    const response = await (body ? getWithBody(url, body) : fetch(url));
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    const data = await response.json();
    items.push(...data.data);
    cursor = data.pageInfo.endCursor;
    hasMore = data.pageInfo.hasNextPage;
  }
  return items.map((item) => item.id);
}

const read = {};
for (const [path, filters, body] of LISTS) read[path] = await loadAll(path, filters, body);
console.log(JSON.stringify(read));
