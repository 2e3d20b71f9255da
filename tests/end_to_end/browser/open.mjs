// The beginning of the programs in this folder: a headless browser, and pages whose errors and requests are recorded.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

// The program is read from standard input, so Node.js searches modules from the working directory on.
const axe = readFileSync(createRequire(`${process.cwd()}/`).resolve('axe-core/axe.min.js'), 'utf8');
const which = (name) => { try { return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(); } catch { return null; } };
const executablePath = which('chromium-headless-shell') ?? which('chromium') ?? which('google-chrome');

const saw = { complaints: [], origins: [], violations: {}, overflow: {}, looks: {} };
const browser = await chromium.launch({ executablePath });

/** Opens a page, and records its errors and the origins that it sends requests to. */
async function opened(name, address, options) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) saw.complaints.push(`${name}: ${message.text()}`); });
  page.on('pageerror', (error) => saw.complaints.push(`${name}: ${error.stack}`));
  page.on('dialog', (dialog) => { saw.complaints.push(`${name}: dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on('request', (request) => { const { origin } = new URL(request.url()); if (origin !== 'null' && !saw.origins.includes(origin)) saw.origins.push(origin); });
  await page.goto(address);
  return [context, page];
}

/** Records the violations that axe-core finds, and by how many pixels the page is wider than the screen. */
async function audit(name, page) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  saw.violations[name] = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)}: ${node.any.concat(node.all).map(({ message }) => message).join('; ')}`));
  saw.looks[`${name} checks`] = passes.length;
  saw.overflow[name] = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** Closes the browser, and prints the report as JSON. */
async function tell() {
  await browser.close();
  console.log(JSON.stringify(saw));
}

const PHONE = { width: 390, height: 844 };

/** Returns the variants in which a page is opened: light and dark, on a desktop and on a phone. */
const screens = (desktop) => [
  ['desktop-light', { viewport: desktop, colorScheme: 'light' }],
  ['desktop-dark', { viewport: desktop, colorScheme: 'dark' }],
  ['phone-light', { viewport: PHONE, colorScheme: 'light', hasTouch: true, isMobile: true, deviceScaleFactor: 2 }],
  ['phone-dark', { viewport: PHONE, colorScheme: 'dark', hasTouch: true, isMobile: true, deviceScaleFactor: 2 }],
];
