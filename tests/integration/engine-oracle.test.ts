/**
 * The engine against an oracle that keeps and shares nothing: whatever requests make it fork, cut into chunks, share,
 * probe and preempt, its outputs are those of a pass over each whole sequence, up to rounding.
 */
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import type { Output, Sequence, SequenceOptions, States } from '../../src/engine/sequence.js'
import { chunksShape } from '../../src/models/graph/run-shape.js'
import { closedAfter } from '../helpers/closed-after.js'
import { dice, promptOf, turn } from '../helpers/engine-traces.js'
import { NaiveEngine } from '../helpers/naive-engine.js'
import { engineOptions, inEveryFormat } from '../helpers/tiny-engine.js'

/**
 * Shared prompts, decode rows and chunks add up in different orders. Where a product takes its activations in 8 bits,
 * that can round one of them to the next of 127 steps. Logits of another sequence would be off by more than 1.
 */
let tolerance = 0
const toleranceIn = (format: string): number => format === 'f32' ? 1e-4 : 0.15

function close (actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.equal(actual.length, expected.length, what)
  let largest = 0
  for (let i = 0; i < actual.length; i++) largest = Math.max(largest, Math.abs(actual[i]! - expected[i]!))
  assert.ok(largest <= tolerance, `${what} is off by ${largest}`)
}

function closeStates (actual: States, expected: States, layers: readonly number[], what: string): void {
  for (const layer of layers) {
    close(actual.hidden(layer), expected.hidden(layer), `${what}, hidden ${layer}`)
    close(actual.pooled(layer), expected.pooled(layer), `${what}, pooled ${layer}`)
    assert.equal(actual.pooledTokens, expected.pooledTokens, what)
  }
}

/** Distances of all that an output holds; its top tokens are the oracle's, but for ties within rounding. */
function closeOutputs (actual: Output, expected: Output, layers: readonly number[], what: string): void {
  const [one, other] = [actual.distribution, expected.distribution]
  close(one.logits, other.logits, `${what}, logits`)
  close(one.topLogits, other.topLogits, `${what}, top logits`)
  close(Array.from(one.topIds, id => one.logits[id]!), one.topLogits, `${what}, top ids`)
  close([one.logNormalizer, one.temperedLogNormalizer], [other.logNormalizer, other.temperedLogNormalizer],
    `${what}, normalisers`)
  const margin = other.topLogits[0]! - other.topLogits[1]!
  if (margin > 2 * tolerance) assert.equal(one.topIds[0], other.topIds[0], `${what}, argmax`)
  closeStates(actual, expected, layers, what)
}

/** A sequence in both engines. */
interface Pair { readonly real: Sequence, readonly naive: Sequence }

/** An output as it is now, whatever becomes of what was lent. */
const kept = (output: Output): Output => {
  const { distribution } = output
  const { size, logNormalizer, temperedLogNormalizer, topIds, topLogits } = distribution
  return {
    distribution: {
      size, logNormalizer, temperedLogNormalizer, topIds, topLogits, logits: distribution.logits.slice()
    },
    hidden: layer => output.hidden(layer),
    pooled: layer => output.pooled(layer),
    pooledTokens: output.pooledTokens
  }
}

/** A request that forks, feeds, probes and leaves as the dice say; each of its outputs is compared. @returns outputs */
async function request (engine: Engine, oracle: NaiveEngine, seed: number): Promise<number> {
  // Neighbouring seeds begin alike.
  const roll = dice(Math.imul(seed + 1, 0x9E3779B1))
  const layers = roll(2) === 0 ? [] : [0, 2]
  const [prompt, isShared] = [promptOf(2 + roll(110), roll(4)), roll(3) === 0]
  const said: Array<readonly [position: number, logNormalizer: number]> = []
  const options: SequenceOptions = {
    layers,
    temperature: roll(3) / 2,
    salt: String(roll(2)),
    fanOut: isShared ? 64 : 1 + roll(8),
    probed: !isShared,
    ...(roll(4) === 0
      ? { poolFrom: 0, onPosition: (position, { logNormalizer }) => { said.push([position, logNormalizer]) } }
      : {})
  }
  const open: Pair[] = [{ real: engine.open(prompt, options), naive: oracle.open(prompt, options) }]
  let compared = 0
  const compare = async ({ real, naive }: Pair): Promise<void> => {
    const actual = kept(await real.output())
    closeOutputs(actual, await naive.output(), layers, `seed ${seed}, after ${real.tokens.length} tokens`)
    compared++
  }
  for (let step = 0; step < 6; step++) {
    await Promise.all(open.map(compare))
    for (let forks = roll(3); forks > 0; forks--) {
      const { real, naive } = open[roll(open.length)]!
      open.push({ real: real.fork(), naive: naive.fork() })
    }
    if (!isShared && layers.length > 0) {
      const [{ real, naive }, tokens] = [open[roll(open.length)]!, promptOf(1 + roll(3), step)]
      closeStates(await real.probe(...tokens), await naive.probe(...tokens), layers, `seed ${seed}, probe`)
    }
    for (const { real, naive } of open) {
      const tokens = promptOf(roll(3) === 0 ? 2 + roll(30) : 1, roll(1000))
      real.append(...tokens)
      naive.append(...tokens)
    }
    for (let turns = roll(3); turns > 0; turns--) await turn()
    if (open.length > 3) open.splice(roll(open.length), 1)[0]!.real.close()
  }
  for (const { real } of open) real.close()
  for (const [position, logNormalizer] of said.filter(([position]) => position < prompt.length).slice(-4)) {
    const { distribution } = await oracle.open(prompt.slice(0, position + 1)).output()
    close([logNormalizer], [distribution.logNormalizer], `seed ${seed}, position ${position}`)
  }
  return compared
}

inEveryFormat(current => {
  beforeEach(() => { tolerance = toleranceIn(current.model.operators.format) })

  test('forks, chunks, shared prompts, probes and preemption give what a pass over the whole sequence ' +
    'gives', async t => {
    const { model } = current
    for (const count of [2, 4, 8]) await model.sessions.prepare(chunksShape(count))
    // Few slots for many sequences, chunks that cut most prompts, and so little memory that slots are emptied.
    const budgets = { maxSequences: 6, prefillTokensPerStep: 24, kvCacheBytes: 2 ** 18, prefixCacheBytes: 2 ** 18 }
    const engine = closedAfter(t, new Engine(model, { ...engineOptions, ...budgets, joinsChunks: true }))
    const oracle = new NaiveEngine(model)
    const compared = await Promise.all(Array.from({ length: 16 }, (_, seed) => request(engine, oracle, seed)))
    engine.checkIntegrity()
    assert.ok(compared.reduce((sum, count) => sum + count) > 200)
    const { decodeRows, paddingRows, prefillTokens, probedTokens } = engine.counters
    for (const count of [decodeRows, paddingRows, prefillTokens, probedTokens]) assert.ok(count > 0)
    assert.deepEqual([engine.stats().sequences, engine.stats().kvTokens], [0, 0])
  })

  test('what is said to draft tokens, and after some were taken back, is what the oracle says', async () => {
    const { engine, model } = current
    const oracle = new NaiveEngine(model)
    const [prompt, draft] = [promptOf(40), promptOf(6, 7)]
    const sequence = engine.open(prompt)
    await sequence.output()
    sequence.append(...draft)
    const after = async (actual: Output, count: number): Promise<void> => {
      const tokens = [...prompt, ...draft.slice(0, count)]
      closeOutputs(actual, await oracle.open(tokens).output(), [], `after ${count}`)
    }
    for (const [index, output] of (await sequence.outputs()).map(kept).entries()) await after(output, index + 1)
    sequence.truncate(42)
    sequence.append(draft[2]!)
    await after(await sequence.output(), 3)
  })
})
