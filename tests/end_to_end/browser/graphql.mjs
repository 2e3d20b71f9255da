// Opens the page of GraphQL in a browser. The page displays the schema, proposes a query, and runs it with credentials. It
// loads nothing from elsewhere, and the browser logs no errors.

import { execFileSync } from 'node:child_process';

import { chromium } from 'playwright-core';

const [url, credentials] = process.argv.slice(2);

const executablePath = execFileSync('sh', ['-c', 'command -v chromium-headless-shell || command -v chromium']).toString().trim();
const browser = await chromium.launch({ executablePath });
const page = await (await browser.newContext({ viewport: { width: 1400, height: 900 } })).newPage();
const complaints = [];
const asked = new Set();
page.on('console', (message) => complaints.push(message.text()));
page.on('pageerror', (error) => complaints.push(String(error)));
page.on('request', (request) => asked.add(request.url()));

await page.goto(url);
await page.waitForFunction(() => document.querySelector('#query').value);
const query = await page.inputValue('#query');
await page.fill('#authorization', credentials);
const run = async () => {
  await page.keyboard.press('Control+Enter');
  await page.waitForFunction(() => document.querySelector('#outcome').textContent.startsWith('Answer:'));
  return `${await page.textContent('#outcome')} ${await page.textContent('#answer')}`;
};
const answer = await run();
await page.fill('#query', '{ nothing }');
await page.click('#run');
await page.waitForFunction(() => document.querySelector('#outcome').textContent === 'Answer: 400');
const refusal = await page.textContent('#answer');
const types = await page.$$eval('#types summary', (all) => all.map((one) => one.textContent));
// A script that the page does not have is not run.
const injected = await page.evaluate(() => {
  const script = document.createElement('script');
  script.textContent = 'window.injected = true';
  document.body.append(script);
  return Boolean(window.injected);
});
const before = complaints.filter((said) => !said.includes('Content Security Policy') && !said.includes('400'));
await browser.close();
console.log(JSON.stringify({ query, answer, refusal, types, injected, complaints: before, asked: [...asked] }));
