import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { closedAfter } from '../../helpers/closed-after.js'

const turn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve) })

/** A test that can be ended: what a runner would then call. */
function fakeTest (): { t: TestContext, end: () => Promise<void> } {
  const hooks: Array<() => unknown> = []
  return {
    t: { after: (hook: () => unknown) => { hooks.push(hook) } } as unknown as TestContext,
    async end () { for (const hook of hooks) await hook() }
  }
}

test('what a test opened is closed at its end, the last first, each once; what another opened stays', async () => {
  const said: string[] = []
  const [one, other] = [fakeTest(), fakeTest()]
  const model = { dispose: () => { said.push('model') } }
  assert.equal(closedAfter(one.t, model), model)
  closedAfter(one.t, { close: () => turn().then(() => { said.push('engine') }) })
  closedAfter(other.t, { close: () => { said.push('other') } })
  closedAfter(one.t, { close: () => { said.push('sequence') } })
  await one.end()
  await one.end()
  assert.deepEqual(said, ['sequence', 'engine', 'model'])
})

test('what cannot be closed is told, and the others are closed', async () => {
  const said: string[] = []
  const { t, end } = fakeTest()
  closedAfter(t, { close: () => { said.push('first') } })
  closedAfter(t, { close: () => Promise.reject(new Error('it will not')) })
  await assert.rejects(end(), /it will not/)
  assert.deepEqual(said, ['first'])
})
