// Follows a live page with public libraries for scripts, and prints the page after each message. Each message is checked
// against its schema in docs/live.asyncapi.json.
//
//   node follow.mjs events|socket URL ASYNCAPI [MESSAGE…]
import { readFileSync } from "node:fs";

import Ajv from "ajv";
import { EventSource } from "eventsource";
import jsonPatch from "fast-json-patch";
import WebSocket from "ws";

const [way, url, document, ...watches] = process.argv.slice(2);
const described = JSON.parse(readFileSync(document, "utf8"));
const ajv = new Ajv({ strict: false, allErrors: true });
const checks = Object.fromEntries(
  Object.entries(described.components.messages).map(([name, message]) => [name, ajv.compile(message.payload)]),
);
let page = null;
let id = null;

function take(text) {
  const message = JSON.parse(text);
  const check = checks[message.type];
  if (!check?.(message)) throw new Error(`${text}: ${JSON.stringify(check?.errors)}`);
  if (message.type === "paginatedData") page = message.page;
  if (message.type === "patch") {
    if (message.from !== id) throw new Error(`a patch from ${message.from} for ${id}`);
    page = jsonPatch.applyPatch(page, message.patch, true).newDocument;
  }
  id = message.id ?? id;
  console.log(JSON.stringify({ type: message.type, code: message.code, page }));
}

if (way === "events") {
  const source = new EventSource(url);
  for (const name of ["paginatedData", "patch", "error", "closing"]) {
    source.addEventListener(name, (event) => event.data !== undefined && take(event.data));
  }
} else {
  const socket = new WebSocket(url);
  socket.on("open", () => socket.send(watches.shift()));
  socket.on("message", (data, isBinary) => {
    if (isBinary) throw new Error("a binary message");
    take(data.toString());
    const next = watches.shift();
    if (next !== undefined) socket.send(next);
  });
  socket.on("close", (code, reason) => console.log(JSON.stringify({ type: "close", code, reason: reason.toString() })));
}
