// Opens a page in Chromium and prints what it says: node browser.mjs CHROMIUM URL SPKI SCREENSHOT
//
// SPKI is the hash of the key of the one certificate that the browser is to accept. It prints "open" when the page has been loaded and
// "result: TEXT" when the page has its result, takes a picture, and ends.
import { chromium } from 'playwright-core'

const [executablePath, url, spki, screenshot] = process.argv.slice(2)
const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', `--ignore-certificate-errors-spki-list=${spki}`],
})
try {
  const page = await browser.newPage({ viewport: { width: 640, height: 360 } })
  page.on('console', (m) => console.log(`console: ${m.text()}`))
  await page.goto(url)
  console.log('open')
  await page.waitForFunction(() => document.getElementById('result').textContent !== 'waiting', null, { timeout: 20_000 })
  console.log((await page.textContent('#log')).split('\n').map((line) => `page: ${line}`).join('\n'))
  console.log(`result: ${await page.textContent('#result')}`)
  await page.screenshot({ path: screenshot })
} finally {
  await browser.close()
}
