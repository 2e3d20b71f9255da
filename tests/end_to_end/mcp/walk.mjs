// Runs unmodified official clients of the Model Context Protocol: `@modelcontextprotocol/sdk`, which begins with `initialize`,
// and `@modelcontextprotocol/client`, which also speaks the newest version. A client lists the tools, walks a list to its end
// by one of them, and calls tools wrongly.
//
//     node walk.mjs sdk|client|client-modern URL TOOL ARGUMENTS

const [which, url, tool, text] = process.argv.slice(2);
const [{ Client }, { StreamableHTTPClientTransport }] =
  which === "sdk"
    ? await Promise.all([
        import("@modelcontextprotocol/sdk/client/index.js"),
        import("@modelcontextprotocol/sdk/client/streamableHttp.js"),
      ])
    : await import("@modelcontextprotocol/client").then((both) => [both, both]);

const options = which === "client-modern" ? { versionNegotiation: { mode: "auto" } } : {};
const client = new Client({ name: "test", version: "1.0.0" }, options);
const requestInit = { headers: { Authorization: "Bearer one" } };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));

const tools = [];
for (let cursor; ; ) {
  const page = await client.listTools(cursor === undefined ? {} : { cursor });
  tools.push(...page.tools);
  cursor = page.nextCursor;
  if (cursor === undefined) break;
}

const walk = { items: [], pages: 0, totals: [], levels: [] };
for (let cursor; cursor !== null; ) {
  const own = cursor === undefined ? {} : { cursor };
  const result = await client.callTool({ name: tool, arguments: { ...JSON.parse(text), ...own } });
  if (result.isError) throw new Error(result.content[0].text);
  const page = result.structuredContent;
  if (JSON.stringify(JSON.parse(result.content[0].text)) !== JSON.stringify(page)) throw new Error("the text is another one");
  walk.items.push(...page.items);
  walk.pages += 1;
  walk.totals.push(page.total);
  walk.levels.push(page.level);
  cursor = page.nextCursor;
}

const wrong = await client.callTool({ name: tool, arguments: { limit: "many" } });
const unknown = await client.callTool({ name: "list_nothing", arguments: {} }).catch((error) => error);
console.log(
  JSON.stringify({
    server: client.getServerVersion()?.name,
    version: client.getNegotiatedProtocolVersion?.() ?? null,
    tools: tools.map(({ name, description }) => ({ name, description })),
    ...walk,
    wrong: { isError: wrong.isError, text: wrong.content[0].text },
    unknown: unknown.code ?? String(unknown),
  }),
);
await client.close();
