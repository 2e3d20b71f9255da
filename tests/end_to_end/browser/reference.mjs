// Opens the reference page of the public contract. It shows the lists of the document, and sends a request for a page.

const [address] = process.argv.slice(2);
const [, page] = await opened('reference', address, { viewport: { width: 1280, height: 900 } });
await page.waitForSelector('.opblock-summary-path');
saw.title = await page.title();
saw.heading = (await page.textContent('.info .title')).trim();
saw.paths = await page.$$eval('.opblock-summary-path', (all) => all.map((one) => one.dataset.path));
await page.click('.opblock-summary-path[data-path="/users"]');
await page.click('.opblock.is-open .try-out__btn');
await page.click('.opblock.is-open .execute');
await page.waitForSelector('.opblock.is-open .live-responses-table .response-col_status');
saw.status = (await page.textContent('.opblock.is-open .live-responses-table .response .response-col_status')).trim();
await tell();
