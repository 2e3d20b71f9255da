// Verifies requests with the library from npm. Prints a line for each request: "ok", or the reason for its refusal.

import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

for (const { secret, headers, body } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  try {
    const payload = new Webhook(secret).verify(body, headers);
    if (JSON.stringify(payload) !== JSON.stringify(JSON.parse(body))) throw new Error("another payload");
    console.log("ok");
  } catch (error) {
    console.log(`refused: ${error.message}`);
  }
}
