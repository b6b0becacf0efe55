/** Bounds how deep bodies and messages are nested, before anybody walks them by recursion. */
import { RequestError } from '../../errors.js'

const maxLevels = 100

/** @throws RequestError for a value that is nested deeper than any request needs */
export function refuseDeep (body: unknown): void {
  const open: Array<readonly [unknown, number]> = [[body, 1]]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [value, level] = next
    if (typeof value !== 'object' || value === null) continue
    if (level > maxLevels) {
      throw new RequestError('invalid_request', `The body may be nested ${maxLevels} levels deep; it is nested deeper`)
    }
    for (const inner of Object.values(value)) if (typeof inner === 'object') open.push([inner, level + 1])
  }
}
