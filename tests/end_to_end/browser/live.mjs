// Follows the first page of the playground as it changes, and prints a report as JSON: `live.mjs URL FOLDER`, after open.mjs.
// The browser connects through a relay, which can break connections off and reads the heads of requests.

import { connect, createServer } from 'node:net';

const [url] = process.argv.slice(2);
const { hostname, port, pathname } = new URL(url);

const streams = [];
const relay = createServer((client) => {
  const gateway = connect(Number(port), hostname);
  for (const [from, to] of [[client, gateway], [gateway, client]]) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
  client.on('data', (bytes) => {
    const head = bytes.toString('latin1');
    if (head.startsWith('GET /users/live')) streams.push({ client, has: /^last-event-id: *(.*?)\r$/im.exec(head)?.[1] ?? null });
  });
});
await new Promise((resolve) => { relay.listen(0, '127.0.0.1', resolve); });

const [context, page] = await opened('live', `http://127.0.0.1:${relay.address().port}${pathname}`, { viewport: { width: 1360, height: 1000 } });
await page.locator('#by-cursor .items li').first().waitFor();
const verdict = () => page.locator('#live .verdict').innerText();
saw.before = await verdict();
await page.locator('#follow').focus();
await page.keyboard.press('Enter');
await page.locator('#live .items li').first().waitFor();
saw.pressed = await page.locator('#follow').getAttribute('aria-pressed');

// A second client of the same page records the messages that it gets.
await page.evaluate(async () => {
  const { follow } = await import('/playground/live.js');
  globalThis.seen = { types: [], failures: [], page: null };
  const changed = (page, message) => { seen.page = page; seen.types.push(message.type); };
  globalThis.mine = follow('/users/live?limit=20', changed, (words) => seen.failures.push(words));
});

/** Waits until the followed page equals the page of a GET, regardless of the order of members. */
const follows = () => page.waitForFunction(async () => {
  const sorted = (value) => (value && typeof value === 'object' && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort()) : value);
  const spelt = (value) => JSON.stringify(value, (_, member) => sorted(member));
  const answer = await (await fetch('/users?cursor=start&limit=20', { cache: 'no-store' })).json();
  return seen.page !== null && spelt(seen.page) === spelt(answer) && spelt([...document.querySelectorAll('#live .items li span:first-child')].map((span) => Number(span.textContent))) === spelt(answer.data.map(({ id }) => id));
}, null, { polling: 200, timeout: 60_000 });
const said = (words) => page.waitForFunction((words) => document.getElementById('said').textContent.startsWith(words), words);

await follows();
saw.types = {};
for (const [kind, words] of [['add', 'Added 3 users'], ['delete', 'Deleted user'], ['move', 'Moved user'], ['add', 'Added 3 users'], ['delete', 'Deleted user']]) {
  const count = await page.evaluate(() => seen.types.length);
  await page.locator(`[data-change=${kind}]`).focus();
  await page.keyboard.press('Enter');
  await said(words);
  await page.waitForFunction((count) => seen.types.length > count, count);
  await follows();
  (saw.types[kind] ??= []).push(...await page.evaluate((count) => seen.types.slice(count), count));
}

// The connection breaks off, the list changes, and the browser connects again by itself and gets the missed changes.
const { client } = streams.at(-1);
saw.opened = streams.length;
const count = await page.evaluate(() => seen.types.length);
client.destroy();
await page.locator('[data-change=add]').click();
await said('Added 3 users');
await page.waitForFunction((count) => seen.types.length > count, count, { timeout: 60_000 });
await follows();
saw.opened = [saw.opened, streams.length];
saw.resumed = { has: streams.at(-1).has, types: await page.evaluate((count) => seen.types.slice(count), count), failures: await page.evaluate(() => seen.failures) };

await audit('live', page);
await page.locator('#follow').focus();
await page.keyboard.press('Space');
saw.after = [await page.locator('#follow').getAttribute('aria-pressed'), await verdict()];
// The browser itself logs the connection that broke off.
saw.complaints = saw.complaints.filter((complaint) => !/net::ERR_(INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)/.test(complaint));
saw.origin = new URL(page.url()).origin;
await context.close();
relay.close();
await tell();
process.exit();
