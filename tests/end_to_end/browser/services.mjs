// Opens the page of services, changes services there, and prints a report as JSON: `services.mjs URL TOKEN ENDPOINT
// FOLDER`, after open.mjs. The screenshots go to FOLDER.

const [url, token, endpoint, folder] = process.argv.slice(2);
const SECTIONS = ['exports', 'endpoints', 'letters', 'watches', 'live'];

async function open(name, options) {
  const [context, page] = await opened(name, url, options);
  for (const section of SECTIONS) await page.locator(`#${section} .entries li`).first().waitFor();
  return [context, page];
}

const DESKTOP = { width: 1360, height: 1000 };
for (const [name, options] of screens(DESKTOP)) {
  const [context, page] = await open(name, options);
  await audit(name, page);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  await context.close();
}

const [context, page] = await open('changes', { viewport: DESKTOP });
saw.sections = {};
for (const section of SECTIONS) saw.sections[section] = await page.locator(`#${section}`).innerText();
saw.unseen = [];
await page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); });
for (let step = 0; step < 40; step += 1) {
  await page.keyboard.press('Tab');
  if (await page.evaluate(() => document.activeElement === document.body)) break;
  const [name, outline] = await page.evaluate(() => { const active = document.activeElement; return [active.id || active.textContent, getComputedStyle(active).outlineStyle]; });
  if (outline === 'none') saw.unseen.push(name);
}

const said = (words) => page.waitForFunction((words) => document.querySelector('#said').textContent.includes(words), words);
await page.locator('#exports button', { hasText: 'Resume' }).press('Enter');
await said('admin.token');
saw.refused = await page.locator('#said').innerText();
await page.locator('#token').fill(token);
await page.locator('#exports button', { hasText: 'Resume' }).press('Enter');
await said('Resume: done');
await page.locator(`#letters li`, { hasText: endpoint }).locator('button').press('Enter');
await said('Send again: done');
await page.locator(`#endpoints li[data-key="${endpoint}"]`, { hasText: '1 delivered' }).locator('button', { hasText: 'Pause' }).press('Enter');
await said('Pause: done');
await page.locator(`#endpoints li[data-key="${endpoint}"] button`, { hasText: 'Activate' }).waitFor();
await page.screenshot({ path: `${folder}/changed.png`, fullPage: true });
// The browser itself logs the status of the refusal.
saw.complaints = saw.complaints.filter((complaint) => !complaint.includes('status of 401'));
await context.close();
await tell();
