/**
 * Linear heads on the policy's own hidden states. The states come with the policy's pass, so a mean-pooled head costs
 * no forward pass; an end-token head costs one token per whole answer. With a Q-head (`q-head.ts`) it values next
 * tokens, too. Knows one head and its members; sums and names are `resolve-scorer.ts`.
 */
import { isDeepStrictEqual } from 'node:util'
import { Type, type Static, type TObject } from 'typebox'
import { adaptationSchema, closed, fitSchema, membersSchema, metricsSchema, type Members } from '../descriptor-parts.js'
import { RequestError } from '../../errors.js'
import type { NextTokenScorer, OpenContext, RewardLedger, RewardSource } from '../reward-kind.js'
import { unreadable, type HeadElsewhere, type PolicyInfo } from '../readable-policy.js'
import { qHeadDigest, weightsDigest } from './head-digests.js'
import { qHeadSchema, TokenForm, type QHead } from './q-head.js'
import type { Answer, AnswerMember } from '../scorer.js'

/** Fields of a head's descriptor beside the family's. */
export const headFields = {
  kind: Type.Literal('head'),
  members: membersSchema,
  /** Model whose hidden states the head reads. */
  policy: Type.Object(
    { id: Type.String(), weightsSha256: Type.String({ pattern: '^[0-9a-f]{64}$' }), format: Type.String() }, closed
  ),
  /** Index into transformers' `hidden_states`: 0 is the embedding. */
  layer: Type.Integer({ minimum: 0 }),
  /**
   * `mean`: running mean over the answer's tokens. `last`: the last token, which for a whole answer is the end token.
   */
  pooling: Type.Union([Type.Literal('mean'), Type.Literal('last')]),
  /** Raw score = weights · state + bias, length D; standardisation of the features is folded in. */
  weights: Type.Array(Type.Number(), { minItems: 1 }),
  bias: Type.Number(),
  /** Of heads with pooling `mean` and a prefix member: a next-token member, on the prefix member's scale. */
  nextToken: Type.Optional(qHeadSchema),
  /**
   * Directions that the training pairs differ along, as weights on raw states: what the head can be adapted to a user
   * with.
   */
  directions: Type.Optional(Type.Array(Type.Array(Type.Number()), { minItems: 1 })),
  adaptation: Type.Optional(adaptationSchema),
  fit: Type.Optional(fitSchema),
  metrics: Type.Optional(metricsSchema)
}

/** A head's descriptor, its family's fields left out. */
export type Head = Static<TObject<typeof headFields>>

/** weights · state + bias, in float64. */
export function linearScore (weights: ArrayLike<number>, bias: number, state: Float32Array): number {
  let sum = bias
  for (let i = 0; i < state.length; i++) sum += weights[i]! * state[i]!
  return sum
}

/**
 * The state after the end token, as end-token heads are fitted on it: read at a raw token such a head is worthless.
 */
async function scoreAtEndToken (
  weights: Float64Array, { layer, bias }: Head, answer: Answer, endToken: number, ledger: RewardLedger
): Promise<number> {
  const states = await answer.after(endToken)
  ledger.rewardTokens++
  return linearScore(weights, bias, states.hidden(layer))
}

/**
 * Raw scores of a head.
 *
 * `mean` reads the running mean over the answer's tokens. `last` reads the end token for whole
 * answers and wherever the outcome member is used; the prefix member reads a prefix at its last token, as it was
 * fitted. An answer of zero tokens has no state of its own: its score is the member's reference mean, standardised 0.
 * @param member which of the descriptor's members is used; it must have it
 */
export function headScorer (head: Head, member: AnswerMember, endToken: number, ledger: RewardLedger): (
  answer: Answer
) => number | Promise<number> {
  const { layer, pooling, bias } = head
  const weights = Float64Array.from(head.weights)
  const emptyScore = head.members[member]!.normalization.mean
  return answer => {
    if (answer.tokens.length === 0) return emptyScore
    if (pooling === 'mean') return linearScore(weights, bias, answer.states.pooled(layer))
    if (member === 'prefix' && !answer.final) return linearScore(weights, bias, answer.states.hidden(layer))
    return scoreAtEndToken(weights, head, answer, endToken, ledger)
  }
}

/** The same head inside the server that runs the policy: read from the same descriptor, as far as can be seen. */
const sameElsewhere = (head: Head, { heads = [] }: PolicyInfo): HeadElsewhere | undefined =>
  heads.find(({ layer, pooling, members, sha256, policy: { weightsSha256 } }) => layer === head.layer &&
    pooling === head.pooling && weightsSha256 === head.policy.weightsSha256 &&
    isDeepStrictEqual(members, head.members) && (sha256 === null || sha256 === weightsDigest(head)))

/**
 * What the server of the policy calls the Q-head of a head that it has.
 * @throws RequestError where it has none, or another one
 */
function guideElsewhere ({ name: head, nextTokenSha256 }: HeadElsewhere, qHead: QHead, name: string): string {
  if (nextTokenSha256 === qHeadDigest(qHead)) return head
  throw new RequestError('invalid_request', `reward "${name}" has ` +
    `${nextTokenSha256 === null ? 'no next_token member that tokens are guided by' : 'another next_token member'} in ` +
    'the engine of this model: give its plugin the same descriptor (FAIRLEAD_REWARDS), and restart it',
  { param: 'alignment.rewards' })
}

/** As `headScorer`, of a head that the server of the policy computes. */
const scorerElsewhere = (
  { pooling, members }: Head, { name }: HeadElsewhere, member: AnswerMember, endToken: number, ledger: RewardLedger
) => async ({ tokens, final, heads }: Answer): Promise<number> => {
  if (tokens.length === 0) return members[member]!.normalization.mean
  if (!heads) throw new Error('the values of heads were not asked for')
  if (pooling === 'mean') return await heads.mean(name)
  if (member === 'prefix' && !final) return await heads.last(name, null)
  ledger.rewardTokens++
  return await heads.last(name, endToken)
}

/** What is said of a head that the server of the policy does not have, in words that follow the family's name. */
const missingElsewhere = (policy: PolicyInfo): string => (policy.heads ?? []).length === 0
  ? unreadable('hidden states', policy)
  : `is none of the heads of the engine of the model ${policy.id} ` +
    `(${policy.heads!.map(({ name }) => name).join(', ')}): ` +
    'give its plugin the same descriptor (FAIRLEAD_REWARDS), and restart it'

/** A head's layer and width must be the policy's. */
function incompatibility (
  head: Head, policy: PolicyInfo
): string | null {
  const { weights, layer: pooled, nextToken, policy: fitted } = head
  if (policy.isRemote) return sameElsewhere(head, policy) ? null : missingElsewhere(policy)
  const width = weights.length
  const layer = Math.max(pooled, nextToken?.layer ?? 0)
  if (width !== policy.hiddenSize) {
    return `was fitted on ${fitted.id} with hidden states of width ${width}; the model ${policy.id} has width ` +
      `${policy.hiddenSize}`
  }
  if (layer > policy.layers) {
    return `reads layer ${layer} of ${fitted.id}; the model ${policy.id} has layers 0 to ${policy.layers}`
  }
  return null
}

/** Other weights give other states; another format of the same weights gives nearly the same. */
function warnOfOtherWeights ({ policy: fitted }: Head, { name, policy, warn }: OpenContext): void {
  // Which weights another server has, it does not say.
  if (policy.isRemote || fitted.weightsSha256 === policy.weightsSha256) return
  warn('reward_policy_mismatch', `reward "${name}" was fitted on other weights (${fitted.id}, sha256 ` +
    `${fitted.weightsSha256.slice(0, 12)}) than ${policy.id} has (${policy.weightsSha256.slice(0, 12)})`)
}

/** The form of a Q-head. @throws RequestError for one that its head cannot have */
function formOf ({ pooling, members, weights }: Head, nextToken: QHead): TokenForm {
  if (pooling !== 'mean' ||
      !members.prefix) {
    throw new RequestError('invalid_request', 'nextToken requires pooling "mean" and a prefix member')
  }
  return new TokenForm(nextToken, weights.length)
}

/**
 * Scores of the prefixes that an answer would be with each of some tokens more: they take their share in the running
 * mean.
 */
function scoreNext (
  { weights, bias, layer }: Head, { layer: stateLayer }: QHead, form: TokenForm, { policy }: OpenContext
): NextTokenScorer['scoreNext'] {
  const own = Float64Array.from(weights)
  const row = new Float32Array(weights.length)
  return ({ tokens: { length }, states }, tokens) => {
    const before = length === 0 ? 0 : linearScore(own, bias, states.pooled(layer)) * length
    return form.contributions(states.hidden(stateLayer), tokens, token => policy.embedding(token, row)).map(added =>
      (before + added) / (length + 1))
  }
}

/** A head as a source of scores. */
export function headSource (head: Head): RewardSource {
  const { members, layer, pooling, nextToken } = head
  const open: RewardSource['open'] = (member, context) => {
    warnOfOtherWeights(head, context)
    const { policy, ledger } = context
    const elsewhere = policy.isRemote ? sameElsewhere(head, policy) : undefined
    const scoreOne = elsewhere
      ? scorerElsewhere(head, elsewhere, member, policy.endTokens[0]!, ledger)
      : headScorer(head, member, policy.endTokens[0]!, ledger)
    return {
      normalization: members[member]!.normalization,
      layers: [layer],
      forks: pooling === 'last',
      score: (_prompt, answers) => Promise.all(answers.map(async answer => ({ raw: await scoreOne(answer) })))
    }
  }
  const form = nextToken && formOf(head, nextToken)
  return {
    members: Object.keys(members satisfies Members) as AnswerMember[],
    incompatibility: policy => incompatibility(head, policy),
    open,
    ...(nextToken && form && {
      openNextToken: context => {
        const { policy, name } = context
        const elsewhere = policy.isRemote ? guideElsewhere(sameElsewhere(head, policy)!, nextToken, name) : null
        return {
          ...open('prefix', context),
          layers: [layer, nextToken.layer],
          elsewhere,
          scoreNext: elsewhere === null
            ? scoreNext(head, nextToken, form, context)
            : () => { throw new Error('another server scores next tokens') }
        }
      }
    })
  }
}
