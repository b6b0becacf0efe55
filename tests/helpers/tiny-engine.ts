/** Engines on tiny models, for tests of the engine alone. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, type TestContext } from 'node:test'
import { Engine, type EngineOptions } from '../../src/engine/engine.js'
import type { CausalModel } from '../../src/engine/executor/cpu/cpu-executor.js'
import type { ComputeLedger } from '../../src/engine/sequence.js'
import { loadModel, type LoadedModel } from '../../src/models/model.js'
import { weightFormats, type WeightFormat } from '../../src/models/quantization/weight-format.js'
import { closedAfter } from './closed-after.js'
import { writeTinyGguf } from './tiny-gguf.js'

export const engineOptions: EngineOptions = {
  contextLength: 512,
  maxSequences: 64,
  kvCacheBytes: 2 ** 28,
  prefixCacheBytes: 2 ** 22,
  prefillTokensPerStep: 64
}

/** A folder that goes with the test file. */
export const directory = mkdtempSync(join(tmpdir(), 'fairlead-engine-'))
after(() => { rmSync(directory, { recursive: true }) })

const loaded = (model: string, format: WeightFormat, threads: number): Promise<LoadedModel> =>
  loadModel({ model, format, threads, cacheDir: directory, contextLength: 0 })

/** A model in float32, given back when the test ends. */
export async function loadTiny (
  t: TestContext, threads: number, shape: Parameters<typeof writeTinyGguf>[1] = {}
): Promise<LoadedModel> {
  const path = join(directory, `tiny-${JSON.stringify(shape).replace(/\W/g, '')}.gguf`)
  writeTinyGguf(path, shape)
  return closedAfter(t, await loaded(path, 'f32', threads))
}

export interface FormatEngine {
  readonly model: LoadedModel
  /** Of one test: closed when it ends, however it ends, and with it every sequence. */
  readonly engine: Engine
}

/**
 * Tests of an engine in every weight format, on a model with the encodings of ordinary files, so that `exact` has
 * blocks to keep and the embedding is looked up in integers.
 */
export function inEveryFormat (define: (current: FormatEngine) => void): void {
  const path = join(directory, 'encoded.gguf')
  writeTinyGguf(path,
    { encode: name => name.startsWith('token_embd') ? 'Q8_0' : name.includes('attn_output') ? 'Q4_0' : 'Q4_1' })
  for (const format of weightFormats) {
    describe(`an engine on a tiny model, ${format}`, () => {
      const current = {} as { -readonly [Key in keyof FormatEngine]: FormatEngine[Key] }
      before(async () => { current.model = await loaded(path, format, 2) })
      beforeEach(() => { current.engine = new Engine(current.model, engineOptions) })
      afterEach(() => current.engine.close())
      after(() => { current.model.dispose() })
      define(current)
    })
  }
}

export const ledger = (): ComputeLedger => ({ computedTokens: 0, cachedTokens: 0, forwardPasses: 0 })

/** A model whose runs fail while luck is out. */
export const runsOutOf = (luck: { readonly isOut: boolean }, { config, sessions }: LoadedModel): CausalModel => ({
  config,
  canSharePrefix: true,
  sessions: {
    find: shape => ({
      run: (inputs, outputs) =>
        luck.isOut ? Promise.reject(new Error('out of luck')) : sessions.find(shape)!.run(inputs, outputs)
    }),
    prepare: shape => sessions.prepare(shape)
  }
})
