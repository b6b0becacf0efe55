import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { callAsync, type OnnxRuntime } from '../../../src/runtime/onnx-library.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Frees what nothing holds. A weak reference holds what it has just shown until the event loop turns. */
async function collected (reference: WeakRef<object>): Promise<boolean> {
  for (let turn = 0; turn < 10 && reference.deref(); turn++) {
    await new Promise(resolve => { setImmediate(resolve) })
    collect()
  }
  return reference.deref() === undefined
}

test('arguments of an asynchronous call are kept until it has returned, and no longer', async () => {
  type Done = (error: Error | null, status: unknown) => void
  const nothing = (): void => assert.fail('nothing was called')
  let done: Done = nothing
  // Native code has the addresses of its arguments, and holds nothing.
  const api = { run: { async: (...args: unknown[]) => { done = args.at(-1) as Done } } }
  const begin = (): { kept: WeakRef<object>, settled: Promise<void> } => {
    const argument = new Uint8Array(new ArrayBuffer(64))
    return { kept: new WeakRef(argument), settled: callAsync(api as unknown as OnnxRuntime['api'], 'run', argument) }
  }
  const { kept, settled } = begin()
  assert.equal(await collected(kept), false)
  done(null, null)
  done = nothing
  await settled
  assert.equal(await collected(kept), true)
})
