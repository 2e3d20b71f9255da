// Checks an AsyncAPI document against the JSON Schema of its version, from the AsyncAPI initiative.
import { readFileSync } from "node:fs";

import specs from "@asyncapi/specs";
import Ajv from "ajv";
import formats from "ajv-formats";

const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
const schema = specs.schemasWithoutId[document.asyncapi];
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: true });
formats(ajv);
const check = ajv.compile(schema);
if (!check(document)) {
  console.error(JSON.stringify(check.errors, null, 1));
  process.exit(1);
}
console.log(document.asyncapi);
