// Opens the operator's page in a browser without windows and tells what it saw, as JSON: `page.mjs URL TOKEN FOLDER`.
// The screenshots go to FOLDER.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [url, token, folder] = process.argv.slice(2);
// The program comes by standard input, so modules are looked for from the working directory on.
const axe = readFileSync(createRequire(`${process.cwd()}/`).resolve('axe-core/axe.min.js'), 'utf8');
const which = (name) => { try { return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(); } catch { return null; } };
const executablePath = which('chromium-headless-shell') ?? which('chromium') ?? which('google-chrome');

const saw = { complaints: [], origins: [], violations: {}, overflow: {}, looks: {} };
const browser = await chromium.launch({ executablePath });

async function open(name, options) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) saw.complaints.push(`${name}: ${message.text()}`); });
  page.on('pageerror', (error) => saw.complaints.push(`${name}: ${error.stack}`));
  page.on('dialog', (dialog) => { saw.complaints.push(`${name}: dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on('request', (request) => { const { origin } = new URL(request.url()); if (!saw.origins.includes(origin)) saw.origins.push(origin); });
  await page.goto(url);
  await page.locator('#configuration-body .card').first().waitFor();
  return [context, page];
}

async function audit(name, page) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  saw.violations[name] = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)}: ${node.any.concat(node.all).map(({ message }) => message).join('; ')}`));
  saw.looks[`${name} checks`] = passes.length;
  saw.overflow[name] = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

const DESKTOP = { width: 1360, height: 900 };
const PHONE = { width: 390, height: 844 };
for (const [name, options] of [
  ['desktop-light', { viewport: DESKTOP, colorScheme: 'light' }],
  ['desktop-dark', { viewport: DESKTOP, colorScheme: 'dark' }],
  ['phone-light', { viewport: PHONE, colorScheme: 'light', hasTouch: true, isMobile: true, deviceScaleFactor: 2 }],
  ['phone-dark', { viewport: PHONE, colorScheme: 'dark', hasTouch: true, isMobile: true, deviceScaleFactor: 2 }],
]) {
  const [context, page] = await open(name, options);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  saw.looks[name] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.locator('.more').first().click();
  await page.locator('tr.detail').waitFor();
  await audit(name, page);
  await page.screenshot({ path: `${folder}/${name}-open.png` });
  await context.close();
}

// What the page says, and by the keyboard alone.
const [context, page] = await open('keyboard', { viewport: DESKTOP });
const text = (selector) => page.locator(selector).first().innerText();
saw.title = await page.title();
saw.verdict = await text('#verdict');
saw.findings = await page.locator('.findings li').allInnerTexts();
saw.routes = await page.locator('.routes tbody tr').evaluateAll((rows) => rows.map((row) => row.innerText.replaceAll(/\s+/g, ' ')));
saw.upstreams = await page.locator('#upstreams-body .card').allInnerTexts();
saw.migration = await page.locator('#migration-body .card').allInnerTexts();
saw.configuration = await text('#configuration-body');
saw.images = await page.locator('main img').count();

// Each control is reached by Tab, in the order of the page, and shows that it has the focus.
saw.tabs = [];
saw.unseen = [];
const controls = await page.evaluate(() => [...document.querySelectorAll('a[href], button, input')].filter((element) => element.checkVisibility()).length);
for (let step = 0; step < controls; step += 1) {
  await page.keyboard.press('Tab');
  const [name, outline] = await page.evaluate(() => {
    const element = document.activeElement;
    return [element.id || element.textContent.trim(), getComputedStyle(element).outlineStyle];
  });
  saw.tabs.push(name);
  if (outline === 'none') saw.unseen.push(name);
}
saw.controls = controls;
await page.locator('.more').first().focus();
const focused = () => page.evaluate(() => `${document.activeElement.id} ${document.activeElement.getAttribute('aria-expanded')}`);
await page.keyboard.press('Enter');
saw.opened = await focused();
// The figures are asked for again, and what is open stays open, with the focus where it was.
await page.waitForResponse((response) => response.url().endsWith('/routes'));
await page.waitForResponse((response) => response.url().endsWith('/status'));
saw.kept = await focused();
await page.keyboard.press('Enter');
saw.closed = await focused();

// A reload, first by a wrong token. A browser logs the status of its own accord.
await page.locator('#reload-open').focus();
await page.keyboard.press('Enter');
for (const typed of ['a-wrong-token-of-the-test', token]) {
  await page.locator('#token').fill(typed);
  await page.keyboard.press('Enter');
  await page.locator('#reload-send:not([disabled])').waitFor();
  await page.waitForFunction(() => !document.getElementById('reload-result').textContent.startsWith('Reading'));
  (saw.reloads ??= []).push(await text('#reload-result'));
}
await audit('dialog', page);
await page.screenshot({ path: `${folder}/desktop-reload.png` });
await page.keyboard.press('Escape');
saw.dialog = await page.locator('#reload').evaluate((dialog) => [dialog.open, document.getElementById('token').value]);
saw.complaints = saw.complaints.filter((complaint) => !complaint.includes('status of 401'));

// The gateway goes away and comes back.
await context.setOffline(true);
await page.locator('#again').waitFor({ timeout: 30_000 });
saw.offline = await text('#offline');
await audit('offline', page);
await page.screenshot({ path: `${folder}/desktop-offline.png` });
await context.setOffline(false);
await page.locator('#again').click();
await page.locator('#again').waitFor({ state: 'detached' });
saw.back = await text('#pulse');
saw.complaints = saw.complaints.filter((complaint) => !complaint.includes('net::ERR_INTERNET_DISCONNECTED'));
await browser.close();
console.log(JSON.stringify(saw));
