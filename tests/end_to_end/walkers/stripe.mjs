// Walks with Stripe's own library, which pages forward by the id of the last object, and back by the id of the first object.

import Stripe from "stripe";

const [base, limit] = process.argv.slice(2);
const { hostname: host, port } = new URL(base);
const stripe = new Stripe("sk_test_walker", { host, port, protocol: "http", telemetry: false, maxNetworkRetries: 0 });

const walk = async (parameters) => {
  const objects = [];
  for await (const object of stripe.customers.list({ limit: Number(limit), ...parameters })) objects.push(object);
  return objects;
};

const forward = await walk({});
// The walk back returns all objects before the last one, the nearest first.
const backward = await walk({ ending_before: forward.at(-1).id });

console.log(JSON.stringify({ "starting_after": forward, "ending_before": [...backward.reverse(), forward.at(-1)] }));
