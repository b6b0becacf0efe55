/** What a step runs, of sequences that are only counts and a KV manager that only counts rooms. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuProfile } from '../../../../src/engine/device-profile.js'
import { Scheduler, type SchedulableSequence, type ScheduledBatch } from '../../../../src/engine/scheduler/scheduler.js'

/** A sequence that waits for so many tokens; none for probes. */
function sequence (numNewTokens: number, isStream = false, caller = ''): SchedulableSequence {
  return {
    tokens: [],
    runs: [],
    opened: true,
    salt: '',
    caller,
    poolFrom: 0,
    adopt: () => {},
    numNewTokens,
    isDecode: numNewTokens === 1,
    isProbed: numNewTokens === 0,
    isStream
  }
}

/** Schedules with room for so many sequences. @param resident that have it already */
function schedule (
  waiting: readonly SchedulableSequence[], rooms: number, resident: readonly SchedulableSequence[] = [],
  isContended = false
): { batch: ScheduledBatch<SchedulableSequence>, preempted: number } {
  const held = new Set(resident)
  let preempted = 0
  const kv = {
    isResident: (one: SchedulableSequence) => held.has(one),
    allocate (one: SchedulableSequence, mayPreempt: (other: SchedulableSequence) => boolean) {
      const victim = held.size < rooms ? undefined : [...held].findLast(mayPreempt)
      if (held.size >= rooms && !victim) return false
      if (victim && held.delete(victim)) preempted++
      held.add(one)
      return true
    },
    canBatch: () => true
  }
  const batch = new Scheduler(cpuProfile.scheduling, 100).schedule(new Set(waiting), kv, isContended)
  return { batch, preempted }
}

const counts = ({ decode, prefill, probed, maxProbePasses }: ScheduledBatch<SchedulableSequence>): unknown =>
  [decode.length, prefill.map(({ numNewTokens }) => numNewTokens), probed.length, maxProbePasses]

test('all that wait run: decode rows, prompts within the budget of tokens, probes', () => {
  const waiting = [sequence(1), sequence(60), sequence(1), sequence(60), sequence(0)]
  assert.deepEqual(counts(schedule(waiting, 9).batch), [2, [60, 40], 1, Infinity])
  // What another engine waits for is short.
  assert.deepEqual(counts(schedule(waiting, 9, [], true).batch), [2, [32], 1, 1])
  // Beside a stream, too.
  assert.deepEqual(counts(schedule([...waiting, sequence(1, true)], 9).batch), [3, [32], 1, 1])
})

test('without room the oldest run: idle sequences are preempted, searches only for streams', () => {
  const [idle, search, stream] = [sequence(1), [sequence(1), sequence(1)], sequence(1, true)]
  assert.deepEqual(schedule(search, 1).batch.decode, search.slice(0, 1))
  const { batch, preempted } = schedule(search, 2, [idle])
  assert.deepEqual([batch.decode, preempted], [search, 1])
  const beside = schedule([...search, stream], 2)
  assert.deepEqual([beside.batch.decode, beside.preempted], [[search[0], stream], 1])
  assert.deepEqual(schedule([...search, sequence(1)], 2).preempted, 0)
})

test('a stream waits for another caller’s rows or for its prompts, not for both in one step', () => {
  const waiting = [...Array.from({ length: 20 }, () => sequence(1, true, 'many')), sequence(300, true, 'many'),
    sequence(1, true, 'one')]
  const kv = { isResident: () => true, allocate: () => true, canBatch: () => true }
  const scheduler = new Scheduler(cpuProfile.scheduling, 100)
  const steps = Array.from({ length: 4 }, () => counts(scheduler.schedule(new Set(waiting), kv, false)))
  assert.deepEqual(steps, [[1, [16], 0, 1], [13, [], 0, 1], [1, [16], 0, 1], [13, [], 0, 1]])
  // Its own prompts are read beside its own streams.
  const own = [sequence(1, true), sequence(300, true)]
  assert.deepEqual(counts(scheduler.schedule(new Set(own), kv, false)), [1, [16], 0, 1])
})

test('a caller that has few sequences gets room from one that has many, and is not robbed of it', () => {
  const many = Array.from({ length: 6 }, () => sequence(1, true, 'many'))
  const one = sequence(1, true, 'one')
  const { batch, preempted } = schedule([...many, one], 6, many)
  assert.deepEqual([batch.decode, preempted], [[...many.slice(0, 5), one], 1])
  assert.equal(schedule([...many, one], 6, [...many.slice(0, 5), one]).preempted, 0)
  assert.equal(schedule(many, 5, many.slice(0, 5)).preempted, 0)
})
