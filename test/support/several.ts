/** Test files one after the other in one process, each as a subtest that stands for its root: what they import is read once. */
import { registerHooks } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import root, { type Test } from 'tap'
import { filesToRun, type FilesToRun } from './test-file.ts'

let current: Test = root
const key = 'qianzhi-test'
/** Who asks for tap gets the subtest that runs: a shared fixture is loaded once, and asks again with each file. */
const standing = new Proxy(root, {
  get: (_root, name) => {
    const value: unknown = Reflect.get(current, name, current)
    return typeof value === 'function' ? value.bind(current) : value
  },
  set: (_root, name, value) => Reflect.set(current, name, value, current),
})
Object.assign(globalThis, { [key]: standing })
registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== 'tap' || context.parentURL?.includes('/node_modules/')) return next(specifier, context)
    return { url: `data:text/javascript,export default globalThis['${key}']`, format: 'module', shortCircuit: true }
  },
})

// Not as arguments: tap names its folders by them.
const { files, seconds } = JSON.parse(process.env[filesToRun]!) as FilesToRun
for (const file of files) {
  await root.test(file, { timeout: seconds * 1000 }, async (test) => {
    current = test
    await import(pathToFileURL(resolve(file)).href)
  })
  // Whoever reads the results knows by the next line that the file has ended.
  root.comment('')
}
