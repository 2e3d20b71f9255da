// Opens the playground, and prints a report as JSON: `playground.mjs URL FOLDER`, after open.mjs. The screenshots go to
// FOLDER.

const [url, folder] = process.argv.slice(2);

async function open(name, options) {
  const [context, page] = await opened(name, url, options);
  for (const side of ['#by-page', '#by-cursor']) await page.locator(`${side} .items li`).first().waitFor();
  return [context, page];
}

const verdict = (page, side) => page.locator(`#${side} .verdict`).innerText();
const ids = (page, side) => page.locator(`#${side} .items li span:first-child`).allInnerTexts();
const said = (page, words) => page.waitForFunction((words) => document.getElementById('said').textContent.startsWith(words), words);

const DESKTOP = { width: 1360, height: 1000 };
for (const [name, options] of screens(DESKTOP)) {
  const [context, page] = await open(name, options);
  await page.locator('#by-cursor summary').click();
  await page.locator('#by-cursor dd pre').waitFor();
  await audit(name, page);
  saw.looks[name] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  saw.details = await page.locator('#by-cursor dl').innerText();
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  await context.close();
}

// Page by page, only by keyboard: three users are added, and one is removed, before the second page.
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
  // The radio buttons are one stop, so the last step leaves the page.
  if (await page.evaluate(() => document.activeElement === document.body)) break;
  saw.tabs.push(name);
  if (outline === 'none') (saw.unseen ??= []).push(name);
}

// Both sides are read to the end, while the list changes with each page.
await page.locator('#always').check();
await page.locator('#to-the-end').click();
await page.waitForFunction(() => document.getElementById('said').textContent.startsWith('Both lists'), null, { timeout: 240_000 });
saw.verdicts = { page: await verdict(page, 'by-page'), cursor: await verdict(page, 'by-cursor') };
const shown = await ids(page, 'by-cursor');
saw.shown = { count: shown.length, apart: new Set(shown).size };
await page.screenshot({ path: `${folder}/to-the-end.png`, fullPage: true });

// The list is read once more, as a person does: by scrolling, without changes. A reading that is begun twice at the same time
// is done once.
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
await tell();
