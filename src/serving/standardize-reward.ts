/**
 * Statistics that a reward's members are standardised with: mean and spread of its raw scores of the reference pool,
 * answers of the policy itself; prefix members' over prefixes of them. Knows no files.
 */
import type { Members } from '../rewards/descriptor-parts.js'
import type { RewardFamily } from '../rewards/descriptor.js'
import { fractions, prefixLengths, type FeatureItem } from '../fitting/features.js'
import { poolDescription, poolPrompts, referencePool, referenceStatistics } from '../fitting/reference-pool.js'
import type { AnswerMember } from '../rewards/scorer.js'
import type { ReadablePolicy } from '../rewards/readable-policy.js'
import { readOptions } from './adapt-and-suggest.js'
import { score } from './score-answers.js'
import type { LocalModel } from './served-models.js'

/** Answers scored at a time; progress is reported in between. */
const together = 24

type Item =
  { readonly messages: ReadonlyArray<{ readonly role: string, readonly content: string }>, readonly answer: string }

/** Prompts of the pool, by their tokens. */
async function promptsByTokens (policy: ReadablePolicy, signal: AbortSignal): Promise<Map<string, string>> {
  const prompts = poolPrompts()
  const chats = prompts.map(content => ({ messages: [{ role: 'user', content }], text: '' }))
  const read = await policy.tokens(chats, signal)
  return new Map(read.map(({ promptTokens }, index) => [promptTokens.join(), prompts[index]!]))
}

/** Answers of the pool, or their prefixes, as texts to be scored. */
function itemsOf (
  { model }: LocalModel, prompts: ReadonlyMap<string, string>, pool: readonly FeatureItem[], member: AnswerMember
): Item[] {
  return pool.flatMap(({ promptTokens, answerTokens }) => {
    const messages = [{ role: 'user', content: prompts.get(promptTokens.join())! }]
    const lengths = member === 'outcome' ? [answerTokens.length] : prefixLengths(answerTokens.length)
    return lengths.map(length => ({ messages, answer: model.tokenizer.decode(answerTokens.slice(0, length)) }))
  })
}

/**
 * Measures them. The pool is drawn once for a policy and kept.
 * @throws what scoring throws; storage_failed
 */
export async function measureStatistics (
  served: LocalModel, { name, source: { members } }: RewardFamily, onProgress: (message: string) => void,
  signal: AbortSignal
): Promise<Members> {
  onProgress('reference pool')
  const { policy, cacheDirectory } = readOptions(served, '', signal)
  const pool = await referencePool(policy, cacheDirectory, signal)
  const prompts = await promptsByTokens(policy, signal)
  const description = poolDescription(policy, pool.length)
  const measured: { -readonly [M in AnswerMember]?: Members[M] } = {}
  for (const member of members) {
    const items = itemsOf(served, prompts, pool, member)
    const raw: number[] = []
    for (let start = 0; start < items.length; start += together) {
      onProgress(`${member} ${Math.floor(start / items.length * 100)} %`)
      const { items: scored } = await score(served, {
        model: served.model.id,
        rewards: [{ name, weight: 1 }],
        scale: 'raw',
        member,
        every: null,
        items: items.slice(start, start + together),
        cacheSalt: '',
        fields: { rewards: '--reward', items: 'pool' }
      }, signal)
      raw.push(...scored.map(({ score: { rewards } }) => rewards[name]!.raw))
    }
    measured[member] = {
      normalization: referenceStatistics(raw, member === 'outcome'
        ? description
        : `${fractions.map(fraction => fraction * 100).join(', ')} % of ${description}`)
    }
  }
  return measured
}
