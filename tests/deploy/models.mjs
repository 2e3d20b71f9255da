// Validates custom resources, a JSON array on standard input, by the schemas of their definitions. The argument is the
// folder in which the packages are installed.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const load = (path) => import(pathToFileURL(resolve(process.argv[2], 'node_modules/@kubernetes-models', path, 'index.js')));
const models = { ...await load('prometheus-operator/monitoring.coreos.com/v1'), ...await load('gateway-api/gateway.networking.k8s.io/v1') };
for (const document of JSON.parse(readFileSync(0, 'utf8'))) {
  new models[document.kind](document).validate();
  console.log(document.kind);
}
