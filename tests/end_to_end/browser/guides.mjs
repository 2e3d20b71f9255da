// Reads a list with the buttons of a page of examples/clients: `guides.mjs GATEWAY ROOT FOLDER`, after open.mjs. Vite builds
// the page, and serves it with Vite's proxy to the gateway.

import { join } from 'node:path';

const [gateway, root, folder] = process.argv.slice(2);
process.env.GATEWAY = gateway;
const { build, preview } = await import(join(root, '../node_modules/vite/dist/node/index.js'));
await build({ root, logLevel: 'error' });
const server = await preview({ root, logLevel: 'error', preview: { host: '127.0.0.1', port: 0 } });
const [url] = server.resolvedUrls.local;

const FEED = 'An infinite list';
const TABLE = 'Page by page';

/** Returns a section's rows, its buttons with whether each is enabled, and its alert; null while the section waits for an answer. */
const shown = (page, name) => page.evaluate((name) => {
  const section = document.querySelector(`section[aria-label="${name}"]`);
  if (section === null) return null;
  const texts = (selector) => [...section.querySelectorAll(selector)].map((one) => one.textContent.replace(/\s+/g, ' ').trim());
  const buttons = [...section.querySelectorAll('button')].map((one) => [one.textContent.trim(), !one.disabled]);
  const waits = buttons.length === 0 || section.querySelector('[aria-busy=true]') !== null
    || buttons.some(([text, enabled]) => text === 'Loading…' || (text === 'More' && !enabled));
  return waits ? null : { rows: texts('li, td:last-child'), buttons: Object.fromEntries(buttons), alert: texts('[role=alert]')[0] ?? null };
}, name);

/** Waits until a section displays something else than before, and returns what it displays. */
async function settled(page, name, before) {
  for (;;) {
    const now = await shown(page, name);
    if (now !== null && JSON.stringify(now) !== JSON.stringify(before)) return now;
    await page.waitForTimeout(5);
  }
}

/** Presses a button of a section, and returns what the section then displays. */
async function press(page, name, button) {
  const before = await shown(page, name);
  await page.getByRole('region', { name }).getByRole('button', { name: button, exact: true }).click();
  return settled(page, name, before);
}

/** Presses a button as long as that is possible. Returns what the section displayed each time. */
async function pressed(page, name, button) {
  const states = [await settled(page, name)];
  while (states.at(-1).buttons[button]) states.push(await press(page, name, button));
  return states;
}

for (const limit of [20, 59]) {
  const [context, page] = await opened(`limit ${limit}`, `${url}?limit=${limit}`);
  await settled(page, FEED);
  await settled(page, TABLE);
  if (limit === 20) {
    await audit('page', page);
    await page.screenshot({ path: `${folder}/page.png`, fullPage: true });
  }
  const feed = (await pressed(page, FEED, 'More')).at(-1);
  const rows = (states) => states.map((state) => state.rows);
  const forward = rows(await pressed(page, TABLE, 'Next'));
  const back = rows(await pressed(page, TABLE, 'Previous'));
  await press(page, TABLE, 'Next');
  const first = await press(page, TABLE, 'First');
  saw[`limit ${limit}`] = { feed, forward, back, first };
  await context.close();
}

// Requests are spoilt on their way: the gateway gets an invalid cursor, or the script gets an answer that isn't a page.
const [context, page] = await opened('spoilt', `${url}?limit=20`);
let spoil = null;
await page.route(/\/users\?/, (route) => {
  const asked = new URL(route.request().url());
  if (spoil === 'cursor') asked.searchParams.set('cursor', 'none');
  return spoil === 'answer' ? route.fulfill({ status: 500, body: 'out of order' }) : route.continue({ url: asked.href });
});
for (const [name, button] of [[FEED, 'More'], [TABLE, 'Next']]) {
  await settled(page, name);
  await press(page, name, button);
  spoil = 'cursor';
  const refused = await press(page, name, button);
  spoil = null;
  const again = await press(page, name, 'Begin again');
  // The table displays its second page without another request.
  if (name === TABLE) await press(page, name, button);
  spoil = 'answer';
  const broken = await press(page, name, button);
  spoil = null;
  const repaired = await press(page, name, 'Try again');
  saw[name] = { refused, again, broken, repaired };
}
await context.close();

saw.origin = new URL(url).origin;
saw.complaints = saw.complaints.filter((said) => !/^spoilt: Failed to load resource: .* status of (400|500)/.test(said));
await server.close();
await tell();
