/**
 * The reference pool: answers that the policy itself gives to a fixed list of prompts. Raw scores are standardised by
 * their mean and spread over it, so that a strength means the same for every reward.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../package-root.js'
import { RequestError } from '../errors.js'
import { writeAtomically } from '../atomic-file.js'
import type { Members, Normalization } from '../rewards/descriptor-parts.js'
import { meanAndStd, significant } from '../statistics/metrics.js'
import type { PolicyInfo, ReadablePolicy } from '../rewards/readable-policy.js'
import { uniform } from '../statistics/random.js'
import { lowPriority, type FeatureItem, type PrefixStates } from './features.js'
import type { StateScore } from './held-out-figures.js'

/** How the pool is drawn: so many answers to each prompt, of so many tokens at most, from this seed. */
export const pool = { answersPerPrompt: 3, maxTokens: 96, seed: 1 } as const

/** The built-in prompts, one user message each. */
export function poolPrompts (): string[] {
  return JSON.parse(readFileSync(join(packageRoot, 'models/rewards/pool/prompts.json'), 'utf8')) as string[]
}

/**
 * Draws answers at temperature 1, `pool.maxTokens` tokens at most, `pool.answersPerPrompt` to each prompt. Same policy,
 * same answers. Answers that end at once are left out.
 * @returns answers without end tokens, with their prompts
 */
export async function samplePool (
  policy: ReadablePolicy, prompts: readonly string[], signal?: AbortSignal
): Promise<FeatureItem[]> {
  const chats = prompts.map(prompt => ({ messages: [{ role: 'user', content: prompt }], text: '' }))
  const jobs = (await policy.tokens(chats, signal)).flatMap(({ promptTokens }, index) =>
    Array.from({ length: pool.answersPerPrompt }, (_, copy) => ({
      promptTokens, seed: pool.seed + 1000 * index + copy
    })))
  const items: FeatureItem[] = []
  const batch = 24
  for (let start = 0; start < jobs.length; start += batch) {
    items.push(...await Promise.all(jobs.slice(start, start + batch).map(job =>
      sampleAnswer(policy, job.promptTokens, uniform(job.seed), signal))))
  }
  return items.filter(item => item.answerTokens.length > 0)
}

/**
 * The pool of a policy, sampled once and kept.
 * @param directory null keeps nothing
 * @throws RequestError storage_failed; the signal's reason when aborted
 */
export async function referencePool (
  policy: ReadablePolicy, directory: string | null, signal?: AbortSignal
): Promise<FeatureItem[]> {
  const prompts = poolPrompts()
  if (directory === null) return await samplePool(policy, prompts, signal)
  const version = createHash('sha256').update(JSON.stringify([pool, prompts])).digest('hex').slice(0, 8)
  const { weightsSha256, format, kernels } = policy
  const file = join(directory, `${weightsSha256.slice(0, 16)}-${format}-${kernels}-pool-${version}.json`)
  const kept = await readFile(file, 'utf8').catch(() => null)
  if (kept !== null) return JSON.parse(kept) as FeatureItem[]
  const items = await samplePool(policy, prompts, signal)
  await writeAtomically(file, JSON.stringify(items), 'features')
  return items
}

async function sampleAnswer (
  policy: ReadablePolicy, promptTokens: readonly number[], random: () => number, signal?: AbortSignal
): Promise<FeatureItem> {
  const reservation = await policy.reserve(1, promptTokens.length + pool.maxTokens, signal)
  const sequence = policy.source.open(promptTokens, { ...lowPriority, ...(signal && { signal }) })
  const answerTokens: number[] = []
  try {
    while (answerTokens.length < pool.maxTokens) {
      const { distribution } = await sequence.output()
      const token = draw(distribution.logits, distribution.logNormalizer, random())
      if (policy.endTokens.includes(token)) break
      answerTokens.push(token)
      sequence.append(token)
    }
    return { promptTokens, answerTokens }
  } finally {
    sequence.close()
    reservation.release()
  }
}

/** The token at which the cumulative probability passes `u`; the last one where rounding leaves it short. */
function draw (logits: Float32Array, logNormalizer: number, u: number): number {
  let left = u
  for (let token = 0; token < logits.length; token++) {
    left -= Math.exp(logits[token]! - logNormalizer)
    if (left < 0) return token
  }
  return logits.length - 1
}

/** What a pool is, for descriptors and cards. */
export function poolDescription ({ id, format }: PolicyInfo, answers: number): string {
  return `${answers} answers of ${id} (${format}) to the ${poolPrompts().length} pool prompts, temperature 1, at ` +
    `most ${pool.maxTokens} tokens`
}

/**
 * Reference statistics of the raw scores of a pool, to seven digits; scores that are all equal get 1 as standard
 * deviation.
 * @throws RequestError for scores that are not finite, or none
 */
export function referenceStatistics (scores: readonly number[], description: string): Normalization {
  const { mean, std } = meanAndStd(scores)
  if (!Number.isFinite(mean) || !Number.isFinite(std)) {
    throw new RequestError('scorer_failed', 'the reward must give finite scores of the reference pool; got ' +
      `${scores.length === 0 ? 'an empty pool' : scores.find(score => !Number.isFinite(score)) ?? mean}`)
  }
  return { mean: significant(mean), std: significant(std) || 1, pool: description }
}

/** The states of the pool's answers, and what the pool is. */
export interface PoolStates { readonly states: readonly PrefixStates[], readonly description: string }

/** Members with the statistics of a score on the pool: whole answers, and (for the prefix member) all four prefixes. */
export function referenceMembers (
  { states, description }: PoolStates, prefixes: boolean, score: StateScore
): Members {
  const whole = states.map(answer => score(answer.at(-1)!, true))
  const outcome = { normalization: referenceStatistics(whole, description) }
  if (!prefixes) return { outcome }
  const parts = states.flatMap(answer => answer.map(state => score(state, false)))
  return { outcome, prefix: { normalization: referenceStatistics(parts, `25, 50, 75 and 100 % of ${description}`) } }
}
