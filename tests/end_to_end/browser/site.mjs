// Opens the documentation site in a headless browser: `site.mjs SITE FOLDER`. No page may be wider than a phone. The pages
// that people open first are audited in light and dark, on a desktop and on a phone, and their screenshots go to FOLDER. If
// there are faults, they are printed, and the exit code is 1.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join, normalize, resolve } from 'node:path';
import { chromium } from 'playwright-core';

const [site, folder] = process.argv.slice(2).map((path) => resolve(path));
// The program is read from standard input, so Node.js searches modules from the working directory on.
const axe = readFileSync(createRequire(`${process.cwd()}/`).resolve('axe-core/axe.min.js'), 'utf8');
const which = (name) => { try { return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(); } catch { return null; } };
const executablePath = which('chromium-headless-shell') ?? which('chromium') ?? which('google-chrome');

const DESKTOP = { viewport: { width: 1360, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
const FIRST = {
  front: 'docs/index.html',
  tutorial: 'docs/tutorial.html',
  code: 'docs/problems.html#cursor_gone',
  key: 'docs/reference/routes.html#routesnamepage_size',
  concepts: 'docs/concepts.html',
};

const TYPES = { '.html': 'text/html; charset=utf-8', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml', '.png': 'image/png' };
const server = createServer((request, response) => {
  const file = join(site, normalize(new URL(request.url, 'http://site').pathname));
  if (!existsSync(file)) return response.writeHead(404).end();
  response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file));
});
await new Promise((begun) => server.listen(0, '127.0.0.1', begun));
const base = `http://127.0.0.1:${server.address().port}`;

const faults = [];
const browser = await chromium.launch({ executablePath });
async function open(options) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) faults.push(`${page.url()}: ${message.text()}`); });
  page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.stack}`));
  page.on('request', (request) => { if (!request.url().startsWith(base) && !request.url().startsWith('data:')) faults.push(`${page.url()} asks for ${request.url()}`); });
  return [context, page];
}

mkdirSync(folder, { recursive: true });
for (const [look, options] of [
  ['desktop-light', { ...DESKTOP, colorScheme: 'light' }],
  ['desktop-dark', { ...DESKTOP, colorScheme: 'dark' }],
  ['phone-light', { ...PHONE, colorScheme: 'light' }],
  ['phone-dark', { ...PHONE, colorScheme: 'dark' }],
]) {
  const [context, page] = await open(options);
  for (const [name, path] of Object.entries(FIRST)) {
    await page.goto(`${base}/${path}`);
    const anchor = path.split('#')[1];
    const missed = await page.evaluate((anchor) => { const target = anchor && document.getElementById(anchor); return anchor && (!target || target.getBoundingClientRect().top > innerHeight || target.getBoundingClientRect().top < 0); }, anchor);
    if (missed) faults.push(`${name}, ${look}: the anchor ${anchor} is not in view`);
    await page.screenshot({ path: `${folder}/${name}-${look}.png` });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
    faults.push(...violations.flatMap(({ id, nodes }) => nodes.map((node) => `${name}, ${look}: ${id}: ${node.html.slice(0, 160)}: ${node.any.concat(node.all).map(({ message }) => message).join('; ')}`)));
  }
  await context.close();
}

const [context, page] = await open(PHONE);
// The page at the root redirects to the front page at once, so it is left out.
const pages = readdirSync(site, { recursive: true }).filter((path) => path.endsWith('.html') && !path.startsWith('_') && path !== 'index.html');
for (const path of pages) {
  await page.goto(`${base}/${path}`);
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wider > 0) faults.push(`${path} is ${wider} pixels wider than a phone`);
}
await context.close();
await browser.close();
server.close();
for (const fault of faults) console.log(fault);
console.log(`${pages.length} pages, ${faults.length} faults; screenshots are in ${folder}`);
process.exitCode = faults.length || pages.length < 50 ? 1 : 0;
