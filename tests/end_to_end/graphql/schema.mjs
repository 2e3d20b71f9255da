// Builds the schema with graphql-js from the answer to its own introspection query, validates it, and prints it. Also
// validates queries against the schema.

import { buildClientSchema, getIntrospectionQuery, parse, printSchema, validate, validateSchema } from "graphql";

const [url, ...queries] = process.argv.slice(2);

const response = await fetch(url, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ query: getIntrospectionQuery({ specifiedByUrl: true, descriptions: true }) }),
});
const { data, errors } = await response.json();
if (errors) throw new Error(JSON.stringify(errors));
const schema = buildClientSchema(data);
const said = (faults) => faults.map(({ message }) => message);
console.log(
  JSON.stringify({
    faults: said(validateSchema(schema)),
    queries: queries.map((query) => said(validate(schema, parse(query)))),
    schema: printSchema(schema),
  }),
);
