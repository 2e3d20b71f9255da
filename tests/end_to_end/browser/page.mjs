// Opens the operator's page, and prints a report as JSON: `page.mjs URL TOKEN FOLDER`, after open.mjs. The screenshots go to
// FOLDER.

const [url, token, folder] = process.argv.slice(2);

async function open(name, options) {
  const [context, page] = await opened(name, url, options);
  await page.locator('#configuration-body .card').first().waitFor();
  return [context, page];
}

const DESKTOP = { width: 1360, height: 900 };
for (const [name, options] of screens(DESKTOP)) {
  const [context, page] = await open(name, options);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  saw.looks[name] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.locator('.more').first().click();
  await page.locator('tr.detail').waitFor();
  await audit(name, page);
  (saw.cut ??= {})[name] = await page.locator('.routes td[data-label], nav').evaluateAll((parts) => parts.filter((part) => part.scrollWidth > part.clientWidth).map((part) => part.dataset.label ?? part.localName));
  await page.screenshot({ path: `${folder}/${name}-open.png` });
  await context.close();
}

// The text of the page is recorded, and the page is used only by keyboard.
const [context, page] = await open('keyboard', { viewport: DESKTOP });
const text = (selector) => page.locator(selector).first().innerText();
saw.title = await page.title();
saw.verdict = await text('#verdict');
saw.findings = await page.locator('.findings li').allInnerTexts();
saw.routes = await page.locator('.routes tbody tr').evaluateAll((rows) => rows.map((row) => row.innerText.replaceAll(/\s+/g, ' ')));
saw.levels = await page.locator('.routes td.mode .badge').evaluateAll((badges) => badges.map((badge) => `${badge.innerText} ${badge.className}`));
saw.upstreams = await page.locator('#upstreams-body .card').allInnerTexts();
saw.migration = await page.locator('#migration-body .card').allInnerTexts();
saw.configuration = await text('#configuration-body');
saw.images = await page.locator('main img').count();

// Each control is reached by Tab, in the order of the page, and has a visible outline while it has the focus.
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
// The page requests its figures again. Open sections stay open, and the focus stays where it was.
await page.waitForResponse((response) => response.url().endsWith('/routes'));
await page.waitForResponse((response) => response.url().endsWith('/status'));
saw.kept = await focused();
await page.keyboard.press('Enter');
saw.closed = await focused();

// The configuration is reloaded, first with a wrong token. The browser itself logs the status of the refusal.
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

// The gateway can't be reached for a time.
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
await tell();
