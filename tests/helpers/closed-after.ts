/** What a test opens, closed when the test ends: its last lines close nothing when an earlier one throws. */
import type { TestContext } from 'node:test'

/** An engine, a sequence, a server; a model. */
type Closable = { close (): unknown } | { dispose (): unknown }

/** What each test has opened, in order. */
const opened = new WeakMap<TestContext, Closable[]>()

/**
 * Closes a thing when its test ends, however it ends. What was opened last is closed first, as an engine must be
 * before its model; hooks of `t.after` run in the order in which they were given.
 * @returns the thing
 */
export function closedAfter<T extends Closable> (t: TestContext, thing: T): T {
  const things = opened.get(t)
  if (things) {
    things.push(thing)
  } else {
    const first: Closable[] = [thing]
    opened.set(t, first)
    t.after(() => closeAll(first))
  }
  return thing
}

/** Closes the last first, and the others also where closing one fails. */
async function closeAll (things: Closable[]): Promise<void> {
  const last = things.pop()
  if (!last) return
  try {
    await ('close' in last ? last.close() : last.dispose())
  } finally {
    await closeAll(things)
  }
}
