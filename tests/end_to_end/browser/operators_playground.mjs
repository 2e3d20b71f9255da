// Opens the playground of the admin listener, and prints a report as JSON: `operators_playground.mjs URL TOKEN FOLDER`,
// after open.mjs. The screenshots go to FOLDER.

const [url, token, folder] = process.argv.slice(2);

async function open(name, options) {
  const [context, page] = await opened(name, url, options);
  await page.locator('#read:not([disabled])').waitFor();
  await page.locator('#token').fill(token);
  return [context, page];
}

const verdict = (page, side) => page.locator(`#${side} .verdict`).innerText();
const ids = (page, side) => page.locator(`#${side} tbody td:first-child`).allInnerTexts();
const rows = (page, side, count) => page.waitForFunction(([side, count]) => document.querySelectorAll(`#${side} tbody tr`).length === count, [side, count]);
const begins = (page, side, words) => page.waitForFunction(([side, words]) => document.querySelector(`#${side} .verdict`).textContent.startsWith(words), [side, words]);

const DESKTOP = { width: 1360, height: 1000 };
const NARROW = ['narrow', { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }];
for (const [name, options] of [...screens(DESKTOP), NARROW]) {
  const [context, page] = await open(name, options);
  await page.locator('#read').click();
  for (const side of ['by-page', 'by-cursor']) await page.locator(`#${side} tbody tr`).first().waitFor();
  await page.locator('#by-cursor .requests pre').first().waitFor();
  await audit(name, page);
  saw.looks[name] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  await context.close();
}

// Only by keyboard, page by page: to the second page and back, on both sides.
const [context, page] = await open('keyboard', { viewport: DESKTOP });
saw.options = await page.locator('#list option').allInnerTexts();
await page.locator('#limit').fill('25');
await page.locator('input[value=scroll]').focus();
await page.keyboard.press('ArrowDown');
await page.locator('#read').focus();
await page.keyboard.press('Enter');
for (const side of ['by-page', 'by-cursor']) {
  await rows(page, side, 25);
  for (const [name, first] of [['next', '26'], ['next', '51'], ['prev', '26'], ['first', '1']]) {
    await page.locator(`#${side} [data-turn=${name}]:not([aria-disabled])`).focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(([side, first]) => document.querySelector(`#${side} tbody td`)?.textContent === first, [side, first]);
    // The focus stays where it was, for the next step.
    (saw.focused ??= []).push(await page.evaluate(() => document.activeElement.dataset.turn ?? document.activeElement.nodeName));
  }
}
saw.requests = { page: await page.locator('#by-page .requests summary code').allInnerTexts(), cursor: await page.locator('#by-cursor .requests summary code').allInnerTexts() };
saw.details = { page: await page.locator('#by-page .requests details').first().innerText(), cursor: await page.locator('#by-cursor .requests details').first().innerText() };
saw.tabs = [];
await page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); });
for (let step = 0; step < 60; step += 1) {
  await page.keyboard.press('Tab');
  if (await page.evaluate(() => document.activeElement === document.body)) break;
  const [name, outline] = await page.evaluate(() => { const active = document.activeElement; return [active.id || active.dataset.turn || active.ariaLabel || active.nodeName, getComputedStyle(active).outlineStyle]; });
  saw.tabs.push(name);
  if (outline === 'none') (saw.unseen ??= []).push(name);
}

// As one long list, both sides are read to their ends: by scrolling, and by the button.
await page.locator('input[value=scroll]').check();
await begins(page, 'by-cursor', '25 items');
for (const side of ['by-page', 'by-cursor']) {
  for (let step = 0; step < 40 && !(await verdict(page, side)).startsWith('The end'); step += 1) {
    if (side === 'by-page') await page.locator(`#${side} .items`).evaluate((box) => { box.scrollTop = box.scrollHeight; });
    else await page.locator(`#${side} [data-turn=next]`).press('Enter', { timeout: 2_000 }).catch(() => {});
    await page.waitForTimeout(50);
  }
}
saw.ends = { page: await verdict(page, 'by-page'), cursor: await verdict(page, 'by-cursor') };
saw.shown = { page: await ids(page, 'by-page'), cursor: await ids(page, 'by-cursor') };
await page.screenshot({ path: `${folder}/to-the-end.png`, fullPage: true });

// The upstream of another list says that more items follow after its end.
await page.locator('#list').selectOption('doubted');
await page.locator('#limit').fill('100');
await page.locator('#read').click();
await begins(page, 'by-cursor', 'The end is not proven');
saw.doubted = {
  verdict: await verdict(page, 'by-cursor'),
  look: await page.locator('#by-cursor .verdict').getAttribute('class'),
  details: await page.locator('#by-cursor .requests details').first().innerText(),
};

// Another list has a parameter in its path, another envelope, no legacy clients, and a rate limit.
await page.locator('#list').selectOption('members');
await page.locator('#parameter-team').fill('a b');
await page.locator('#limit').fill('100');
await page.locator('#read').click();
await begins(page, 'by-page', 'Refused');
await begins(page, 'by-cursor', 'The end');
saw.members = { page: await verdict(page, 'by-page'), cursor: await verdict(page, 'by-cursor'), path: await page.locator('#by-cursor .requests summary code').allInnerTexts() };
await page.locator('#read').click();
await begins(page, 'by-cursor', 'Refused');
saw.limited = await verdict(page, 'by-cursor');
await page.screenshot({ path: `${folder}/refused.png`, fullPage: true });

// The token is wrong. The browser itself logs the status of each refusal.
await page.locator('#token').fill('a-wrong-token-of-the-test');
await page.locator('#read').click();
await begins(page, 'by-cursor', 'The token');
saw.wrong = await verdict(page, 'by-cursor');
saw.complaints = saw.complaints.filter((complaint) => !complaint.includes('status of 401'));
saw.kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie.length]);
await context.close();
await tell();
