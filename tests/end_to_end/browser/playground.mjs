// Opens the playground in a browser without windows and tells what it saw, as JSON: `playground.mjs URL FOLDER`. The
// screenshots go to FOLDER.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [url, folder] = process.argv.slice(2);
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
  page.on('request', (request) => { const { origin } = new URL(request.url()); if (origin !== 'null' && !saw.origins.includes(origin)) saw.origins.push(origin); });
  await page.goto(url);
  for (const side of ['#by-page', '#by-cursor']) await page.locator(`${side} .items li`).first().waitFor();
  return [context, page];
}

const verdict = (page, side) => page.locator(`#${side} .verdict`).innerText();
const ids = (page, side) => page.locator(`#${side} .items li span:first-child`).allInnerTexts();
const said = (page, words) => page.waitForFunction((words) => document.getElementById('said').textContent.startsWith(words), words);

const DESKTOP = { width: 1360, height: 1000 };
const PHONE = { width: 390, height: 844 };
for (const [name, options] of [
  ['desktop-light', { viewport: DESKTOP, colorScheme: 'light' }],
  ['desktop-dark', { viewport: DESKTOP, colorScheme: 'dark' }],
  ['phone-light', { viewport: PHONE, colorScheme: 'light', hasTouch: true, isMobile: true, deviceScaleFactor: 2 }],
  ['phone-dark', { viewport: PHONE, colorScheme: 'dark', hasTouch: true, isMobile: true, deviceScaleFactor: 2 }],
]) {
  const [context, page] = await open(name, options);
  await page.locator('#by-cursor summary').click();
  await page.locator('#by-cursor dd pre').waitFor();
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  saw.violations[name] = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)}`));
  saw.overflow[name] = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  saw.looks[name] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  saw.details = await page.locator('#by-cursor dl').innerText();
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  await context.close();
}

// Page by page, by the keyboard alone: three users come, and one goes, before the second page.
const [context, page] = await open('keyboard', { viewport: DESKTOP });
await page.locator('input[value=pages]').focus();
await page.keyboard.press('Space');
await page.waitForFunction(() => ['by-page', 'by-cursor'].every((side) => document.querySelectorAll(`#${side} .items li`).length === 20 && document.querySelector(`#${side} .links button:nth-child(3):not([disabled])`)));
const first = await ids(page, 'by-cursor');
await page.locator('[data-change=add]').focus();
await page.keyboard.press('Enter');
await said(page, 'Added 3 users');
for (const side of ['by-page', 'by-cursor']) {
  const before = (await ids(page, side)).join();
  await page.locator(`#${side} .links button`, { hasText: 'Next' }).focus();
  await page.keyboard.press('Enter');
  await page.waitForFunction(([side, before]) => [...document.querySelectorAll(`#${side} .items li span:first-child`)].map((span) => span.textContent).join() !== before, [side, before]);
}
saw.again = { page: (await ids(page, 'by-page')).filter((id) => first.includes(id)).length, cursor: (await ids(page, 'by-cursor')).filter((id) => first.includes(id)).length };
saw.tabs = [];
const controls = await page.evaluate(() => { document.activeElement.blur(); return [...document.querySelectorAll('a[href], button:not([disabled]), input, select, summary, [tabindex="0"]')].filter((element) => element.checkVisibility()).length; });
await page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); });
for (let step = 0; step < controls; step += 1) {
  await page.keyboard.press('Tab');
  const [name, outline] = await page.evaluate(() => { const active = document.activeElement; return [active.id || active.textContent.trim().slice(0, 30), getComputedStyle(active).outlineStyle]; });
  // The radio buttons are one stop, so that the last step leaves the page.
  if (await page.evaluate(() => document.activeElement === document.body)) break;
  saw.tabs.push(name);
  if (outline === 'none') (saw.unseen ??= []).push(name);
}

// Both to the end, while the list changes with each page.
await page.locator('#always').check();
await page.locator('#to-the-end').click();
await page.waitForFunction(() => document.getElementById('said').textContent.startsWith('Both lists'), null, { timeout: 240_000 });
saw.verdicts = { page: await verdict(page, 'by-page'), cursor: await verdict(page, 'by-cursor') };
const shown = await ids(page, 'by-cursor');
saw.shown = { count: shown.length, apart: new Set(shown).size };
await page.screenshot({ path: `${folder}/to-the-end.png`, fullPage: true });

// Once more, as a reader does: by scrolling, without changes. A reading that is begun twice at once is one.
await page.locator('#always').uncheck();
await page.locator('#limit').selectOption('90');
await page.locator('#begin').click();
await page.waitForFunction(() => document.querySelectorAll('#by-cursor .items li').length === 90);
for (let step = 0; step < 40 && !(await verdict(page, 'by-cursor')).startsWith('The end'); step += 1) {
  await page.locator('#by-cursor .items').evaluate((list) => { list.scrollTop = list.scrollHeight; });
  await page.waitForTimeout(50);
}
saw.scrolled = await verdict(page, 'by-cursor');
await context.close();
await browser.close();
console.log(JSON.stringify(saw));
