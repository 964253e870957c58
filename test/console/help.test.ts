/** The manual: a section for every page, in both languages, for whoever is signed in. */
import t from 'tap'
import { roleNames } from '../../hub/records/roles.ts'
import { workflows } from '../../hub/registry/workflows.ts'
import { agencyRoles } from '../hub/city.ts'
import { noBrowser } from '../support/browser.ts'
import { barriers, openConsole, settled } from './fixture.ts'

/** Pages that are in nobody's navigation. */
const beside = ['/basket', '/search', '/notices', '/account']
/** What a newcomer of an agency does not know. */
const technical = /\b(?:API|JSON|HTTP|SQL|UUID|endpoint|webhook)s?\b|QZ-|undefined/

t.test('every place has its section, which its question mark leads to; states come from the workflows', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const places = new Set(beside)
  for (const role of roleNames) {
    const { page, context } = await console.open(agencyRoles.includes(role) ? 'civil' : 'city', role)
    await page.goto(`${console.origin}/account`)
    await page.waitForSelector('nav.side a')
    for (const link of await page.locator('nav.side a').all()) places.add((await link.getAttribute('href'))!)
    await context.close()
  }
  t.ok(places.size > 30, `${places.size} places`)
  for (const language of ['zh', 'en'] as const) {
    const { page, complaints, context } = await console.open('civil', 'user', { language, dark: language === 'en' })
    await page.goto(`${console.origin}/applications`)
    await page.click('header a.help')
    await page.waitForURL(/\/help#applications$/)
    await page.waitForSelector('.manual section#applications')
    await settled(page)
    const top = await page.evaluate<number>(`document.querySelector('#applications').getBoundingClientRect().top`)
    t.ok(top >= 0 && top < 768, 'it is in sight')
    const ids = new Set(await page.evaluate<string[]>(`[...document.querySelectorAll('.manual section[id]')].map(({ id }) => id)`))
    const without = [...places].filter((place) => place !== '/help' && !ids.has(place.split('/')[1] === '' ? 'desk' : place.split('/')[1]!))
    t.same(without, [], `${language}: places without a section`)
    await page.evaluate(`document.querySelectorAll('details').forEach((one) => (one.open = true))`)
    const text = await page.locator('.manual').innerText()
    for (const { states } of workflows)
      for (const words of Object.values<{ zh: string; en: string }>(states)) t.ok(text.includes(words[language]), words[language])
    const foreign = language === 'en' ? /\p{Script=Han}|[\uff0c\u3002\u3001]/u : /(?!EXCEL|Ctrl|Enter|Esc)\b[A-Za-z]{2,}/
    t.notMatch(
      text
        .split('\n')
        .filter((one) => foreign.test(one) || technical.test(one))
        .join('\n'),
      /./,
    )
    t.same(await barriers(page), [])
    await page.goto(`${console.origin}/lines`)
    await page.waitForSelector('main h1')
    await page.keyboard.press('?')
    await page.waitForURL(/\/help#lines$/)
    t.same(complaints, [])
    await context.close()
  }
})
