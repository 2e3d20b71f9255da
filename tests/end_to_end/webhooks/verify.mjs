// Verifies requests by the library from npm: prints a line for each, "ok" or the reason that it is refused.

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
