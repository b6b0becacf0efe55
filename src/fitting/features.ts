/**
 * Features for fitting: hidden states of the policy over given answers, read at 25, 50, 75 and 100 % of each answer
 * through the engine, exactly as a head reads them while the policy writes. Cached on disk, because they are the costly
 * part of a fit. Knows tokens and states, not what they are used for.
 */
import type { Sequence } from '../engine/sequence.js'
import { sideBySide } from '../bounded-concurrency.js'
import { FeatureCache, featureKey } from './feature-cache.js'
import type { ReadablePolicy } from '../rewards/readable-policy.js'

/** Shares of an answer at which states are read, ascending. */
export const fractions = [0.25, 0.5, 0.75, 1] as const

/** An answer whose states are wanted, in the policy's tokens. */
export interface FeatureItem {
  readonly promptTokens: readonly number[]
  /** At least one. */
  readonly answerTokens: readonly number[]
}

/** One state of length D per entry of `fractions`. */
export type PrefixStates = readonly Float32Array[]

/** Which states are wanted. */
export interface FeatureOptions {
  /** Indices of hidden states, 0..L. */
  readonly layers: readonly number[]
  /** `mean` of the answer's tokens so far, or the `last` token (for the whole answer the end token, appended). */
  readonly pooling: 'mean' | 'last'
  /** Folder of the cache; null keeps nothing. */
  readonly cacheDirectory: string | null
  /** Called with how many of the distinct answers have their states, cached ones from the start. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Answers read at a time: enough for the engine to fill its steps. */
const concurrency = 12

/**
 * Scheduled as a search, which streams go before. With a larger fan-out the prompt's KV would be shared, which changes
 * bits.
 */
export const lowPriority = { fanOut: 5 } as const

/** Tokens of an answer of `length` tokens that each entry of `fractions` covers: at least one, rounded. */
export function prefixLengths (length: number): number[] {
  return fractions.map(fraction => Math.max(1, Math.round(length * fraction)))
}

/**
 * The states of every item, per layer, in the items' order. Equal items are computed once.
 * @throws the signal's reason when aborted, RequestError storage_failed where the cache cannot be written; what was
 * computed by then stays in it
 */
export async function extractFeatures (
  policy: ReadablePolicy, items: readonly FeatureItem[], options: FeatureOptions
): Promise<Map<number, PrefixStates[]>> {
  const { layers, pooling, cacheDirectory, onProgress = () => {}, signal } = options
  const caches = await Promise.all(layers.map(layer =>
    FeatureCache.open(cacheDirectory, policy, { layer, pooling, states: fractions.length })))
  const keys = items.map(item => featureKey(item.promptTokens, item.answerTokens))
  const missing = new Map<string, FeatureItem>()
  for (const [index, key] of keys.entries()) if (caches.some(cache => !cache.has(key))) missing.set(key, items[index]!)
  const total = new Set(keys).size
  let done = total - missing.size
  onProgress(done, total)
  try {
    await sideBySide([...missing], concurrency, async ([key, item]) => {
      signal?.throwIfAborted()
      const states = await readStates(policy, item, options)
      for (const [index, cache] of caches.entries()) cache.add(key, states[index]!)
      onProgress(++done, total)
    })
    const read = await Promise.all(caches.map(cache => cache.read(keys)))
    return new Map(layers.map((layer, index) => [layer, read[index]!]))
  } finally {
    for (const cache of caches) await cache.close()
  }
}

/** States of one answer: [layer][fraction]. The answer is fed in as many chunks as there are fractions. */
async function readStates (
  policy: ReadablePolicy, { promptTokens, answerTokens }: FeatureItem, { layers, pooling, signal }: FeatureOptions
): Promise<Float32Array[][]> {
  const reservation = await policy.reserve(pooling === 'mean' ? 1 : 2, promptTokens.length + answerTokens.length + 1,
    signal)
  const sequence = policy.source.open(promptTokens, { layers, ...lowPriority, ...(signal && { signal }) })
  try {
    const states = layers.map((): Float32Array[] => [])
    let fed = 0
    for (const length of prefixLengths(answerTokens.length)) {
      sequence.append(...answerTokens.slice(fed, length))
      fed = length
      const whole = fed === answerTokens.length
      const read = await readOnce(sequence, layers, pooling, whole ? policy.endTokens[0]! : null)
      for (const [index, state] of read.entries()) states[index]!.push(state)
    }
    return states
  } finally {
    sequence.close()
    reservation.release()
  }
}

/** Copies of the states after what was fed so far; an end token is fed to a fork. */
async function readOnce (
  sequence: Sequence, layers: readonly number[], pooling: 'mean' | 'last', endToken: number | null
): Promise<Float32Array[]> {
  if (pooling === 'mean') {
    const output = await sequence.output()
    return layers.map(layer => output.pooled(layer).slice())
  }
  const fork = sequence.fork()
  try {
    if (endToken !== null) fork.append(endToken)
    const output = await fork.output()
    return layers.map(layer => output.hidden(layer).slice())
  } finally {
    fork.close()
  }
}
