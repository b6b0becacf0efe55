/** Requests to an engine whose logits are compared bit by bit. */
import type { Engine } from '../../src/engine/engine.js'
import type { Output, Sequence, SequenceOptions } from '../../src/engine/sequence.js'
import { tinyVocabulary } from './tiny-vocabulary.js'

/** A seeded choice below a bound. */
export function dice (seed: number): (bound: number) => number {
  let state = seed >>> 0
  return bound => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor(state / 2 ** 32 * bound)
  }
}

/** Tokens of the tiny vocabulary. */
export const promptOf = (length: number, seed = 1): number[] => {
  const roll = dice(seed)
  return Array.from({ length }, () => 3 + roll(tinyVocabulary.length - 3))
}

export const turn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve) })

/** All that is compared of an output. */
export const rowOf = ({ distribution }: Output): number[] => [...distribution.logits, distribution.logNormalizer]

/** Rows of an opened sequence: its output, then that of each token fed, one by one. */
export async function follow (sequence: Sequence, count: number): Promise<number[][]> {
  const rows = [rowOf(await sequence.output())]
  for (let step = 0; step < count; step++) {
    sequence.append(3 + (step * 37) % 256)
    rows.push(rowOf(await sequence.output()))
  }
  return rows
}

/** Logits of every step of a request: a prompt, then tokens fed one by one. */
export async function trace (
  engine: Engine, prompt: readonly number[], count: number, more: SequenceOptions = {}
): Promise<number[][]> {
  const sequence = engine.open(prompt, more)
  try {
    return await follow(sequence, count)
  } finally {
    sequence.close()
  }
}
