/** Which rows of a device share a pass: those of one attention kernel, within its limits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planPasses, type PlannedSequence } from '../../../../../src/engine/executor/device/pass-planner.js'
import { decodeRun, prefillRun, shortRun } from '../../../../../src/engine/kv/history.js'

const limits = { maxTokens: 100, maxRows: 8 }
const row = (nextRun: number, wantsEveryPosition = false): PlannedSequence => ({ nextRun, wantsEveryPosition })
const shape = (passes: ReturnType<typeof planPasses>): unknown =>
  passes.map(({ run, parts }) => [run, parts.map(({ numNewTokens }) => numNewTokens)])

test('a pass has one kernel; decode rows come first', () => {
  const [long, short] = [row(prefillRun), row(shortRun)]
  const decode = [row(decodeRun), row(decodeRun)]
  const prefill = [{ sequence: long, numNewTokens: 40 }, { sequence: short, numNewTokens: 7 },
    { sequence: row(prefillRun), numNewTokens: 33 }]
  assert.deepEqual(shape(planPasses({ decode, prefill }, limits)),
    [[decodeRun, [1, 1]], [shortRun, [7]], [prefillRun, [40, 33]]])
})

test('what exceeds a pass is cut, and no sequence is in one twice', () => {
  const decode = Array.from({ length: 10 }, () => row(decodeRun))
  assert.deepEqual(shape(planPasses({ decode, prefill: [] }, limits)),
    [[decodeRun, new Array(8).fill(1)], [decodeRun, [1, 1]]])
  const prefill = [{ sequence: row(prefillRun), numNewTokens: 230 }]
  assert.deepEqual(shape(planPasses({ decode: [], prefill }, limits)),
    [[prefillRun, [100]], [prefillRun, [100]], [prefillRun, [30]]])
  // Distributions after every position are as many rows.
  assert.deepEqual(shape(planPasses({ decode: [], prefill: [{ sequence: row(prefillRun, true), numNewTokens: 20 }] },
    limits)), [[prefillRun, [8]], [prefillRun, [8]], [prefillRun, [4]]])
})

test('positions that are run again as a short chunk never make a long one', () => {
  const prefill = [{ sequence: row(shortRun), numNewTokens: 40 }]
  assert.deepEqual(shape(planPasses({ decode: [], prefill }, limits)), [[shortRun, [31]], [shortRun, [9]]])
})
