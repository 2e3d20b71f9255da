// json-server 0.17 over a collection made in memory, on a free port.
//
// Prints `port N` once it listens. `GET /__count` returns the number of all other requests. The server ends when its standard
// input is closed, so it never outlives the test that started it.
'use strict';

const jsonServer = require('json-server');

const USERS = 1003;
// Users share a timestamp in runs of this length, so `created_at` doesn't order them without another key.
const TIE_RUN = 3;
const NAMES = ['Ada', 'Zoë', 'Łukasz', '名前', 'O\'Brien "the 2nd"', 'back\\slash', 'emoji 🦀', 'a/b', 'RTL \u05d0\u05d1'];

function user(id) {
  const created = new Date(Date.UTC(2024, 0, 1) + Math.floor((id * 7919) % USERS / TIE_RUN) * 3600 * 1000);
  return {
    id,
    name: `${NAMES[id % NAMES.length]} ${id}`,
    email: `user${id}@example.com`,
    team: ['red', 'green', 'blue'][id % 3],
    score: id % 4 === 0 ? null : id / 4,
    created_at: created.toISOString(),
    nested: { tags: id % 5 === 0 ? [] : ['a', 'b'], next: 'http://example.com/?page=2' },
  };
}

function order(id, userId) {
  return { id, userId, amount: (id * 37) % 500 / 4 };
}

const users = Array.from({ length: USERS }, (_, index) => user(index + 1));
const orders = [];
for (const [userId, count] of [[7, 57], [8, 20], [9, 0]]) {
  for (let n = 0; n < count; n += 1) {
    orders.push(order(orders.length + 1, userId));
  }
}

let count = 0;
const server = jsonServer.create();
server.get('/__count', (request, response) => response.json({ requests: count }));
server.use((request, response, next) => {
  count += 1;
  next();
});
server.use(jsonServer.router({ users, orders }));

const listener = server.listen(0, '127.0.0.1', () => console.log(`port ${listener.address().port}`));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
