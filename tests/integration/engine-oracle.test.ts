/**
 * The engine against an oracle that keeps and shares nothing: whatever requests make it fork, cut into chunks, share,
 * probe and preempt, its outputs are those of a pass over each whole sequence, up to rounding.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Engine } from '../../src/engine/engine.js'
import type { Output, Sequence, SequenceOptions, States } from '../../src/engine/sequence.js'
import { closedAfter } from '../helpers/closed-after.js'
import { dice, promptOf, turn } from '../helpers/engine-traces.js'
import { NaiveEngine } from '../helpers/naive-engine.js'
import { engineOptions, inEveryFormat, loadTiny } from '../helpers/tiny-engine.js'

/** Shared prompts and probes add up in another order, as decode rows do beside chunks. */
const tolerance = 2e-4

function close (actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.equal(actual.length, expected.length, what)
  const largest = Array.from(actual, (value, index) => Math.abs(value - expected[index]!)).reduce((a, b) => a > b ? a : b)
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
