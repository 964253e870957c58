/** Each case in each state, as each role sees it: the buttons are what the API says may be done now, no more and no fewer. */
import t from 'tap'
import { roleNames, type Role } from '../../hub/records/roles.ts'
import { operations } from '../../hub/operations/index.ts'
import { workflows } from '../../hub/registry/workflows.ts'
import { Random, seedOfThisRun } from '../faults/random.ts'
import { agencyRoles } from '../hub/city.ts'
import { makeObject, openObjects } from '../hub/objects.ts'
import { noBrowser } from '../support/browser.ts'
import { longer } from '../support/longer.ts'
import { barriers, openConsole, settled, type Seen } from './fixture.ts'

const seed = seedOfThisRun()
process.stdout.write(`QIANZHI_SEED=${seed}\n`)
const random = new Random(seed)

/** Who looks: roles of agencies as the provider's people and as the receiver's. */
const viewers = roleNames.flatMap((role): [string, Role][] =>
  agencyRoles.includes(role)
    ? [
        ['civil', role],
        ['water', role],
      ]
    : [['city', role]],
)

/** What is done in the page itself rather than by a button beside it. */
const inPage = new Set(['registration.change'])

t.test('buttons and actions', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { city } = console
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const made: { kind: string; state: string; address: string }[] = []
  for (const { name: kind, states } of workflows) {
    const read = operations.find(({ name }) => name === `${kind}.read`)
    if (!read) continue
    // Some of the states in the usual run, all in the longer one.
    for (const state of Object.keys(states).filter(() => !longer || random.chance(0.3)))
      made.push({ kind, state, address: read.path.replace(':id', await makeObject(objects, kind, state)) })
  }
  /** By who may do most, and by one other: by everybody in the longer run. */
  const looks = new Map<string, { what: string; address: string; wanted: string[] }[]>()
  for (const { kind, state, address } of made) {
    const seen: { viewer: string; wanted: string[] }[] = []
    for (const [agency, role] of viewers) {
      const { status, body } = await city.as(agency, role).get(address)
      if (status === 200) seen.push({ viewer: `${agency} ${role}`, wanted: wordsOf(body.actions as string[]) })
    }
    seen.sort((a, b) => b.wanted.length - a.wanted.length)
    const chosen = longer ? [...seen.slice(0, 1), ...(random.chance(0.3) && seen.length > 1 ? [random.pick(seen.slice(1))] : [])] : seen
    for (const { viewer, wanted } of chosen) {
      const list = looks.get(viewer) ?? []
      list.push({ what: `${kind} ${state} by ${viewer}`, address, wanted })
      looks.set(viewer, list)
    }
  }
  const dialogs = new Set<string>()
  for (const [at, [viewer, list]] of [...looks].entries()) {
    const [agency, role] = viewer.split(' ') as [string, Role]
    const dark = at % 2 === 1
    const seen = await console.open(agency, role, { dark })
    await seen.page.goto(console.origin)
    await seen.page.waitForSelector('main h1')
    for (const { what, address, wanted } of list) {
      await go(seen, address)
      const shown = await seen.page.locator('.desk .actions button').allInnerTexts()
      t.same(shown.toSorted(), wanted.toSorted(), what)
      // Each dialog once, some of them in the usual run: it can be used by everybody, and closed without doing anything.
      for (const words of shown.filter((words) => !dialogs.has(`${address.split('/')[1]} ${words}`))) {
        if (longer && !random.chance(0.3)) continue
        dialogs.add(`${address.split('/')[1]} ${words}`)
        await seen.page.click(`.desk .actions button:has(:text-is("${words}"))`)
        await seen.page.waitForSelector('[role=dialog]')
        await settled(seen.page)
        t.same(await barriers(seen.page), [], `${what}: ${words}${dark ? ', dark' : ''}`)
        await seen.page.keyboard.press('Escape')
        await seen.page.waitForSelector('[role=dialog]', { state: 'detached' })
      }
    }
    t.same(seen.complaints, [], viewer)
    await seen.context.close()
  }
  t.comment(`${made.length} cases, ${dialogs.size} dialogs`)
})

/** As a link within the console does. */
async function go({ page }: Seen, address: string): Promise<void> {
  await page.evaluate(`{ history.pushState({}, '', '${address}'); dispatchEvent(new PopStateEvent('popstate', { state: {} })) }`)
  // Not the one of the page before.
  await page.waitForSelector(`main .desk[data-of$=" ${address.split('/').at(-1)}"]`)
  await settled(page)
}

/** What buttons say: the operation's words, without what they explain. */
function wordsOf(actions: readonly string[]): string[] {
  return actions
    .filter((name) => !inPage.has(name))
    .map((name) => operations.find((operation) => operation.name === name)!.text.zh.split(/[\uff1a:\uff0c\uff08(]/)[0]!)
}
