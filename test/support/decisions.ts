/** Operations that ask for the revision that their caller saw: from the API's own table. */
import { operations } from '../../hub/operations/index.ts'

const paths = operations.flatMap(({ path, decides }) => (decides ? [new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}$`)] : []))

/** Whether a path below /api/v1 is a decision's. */
export function decides(path: string): boolean {
  return paths.some((pattern) => pattern.test(path))
}
