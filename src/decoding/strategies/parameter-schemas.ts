/**
 * Schemas that the parameters of several strategies are built from: number and null helpers, the parameters common to
 * all, steps, selection rules, early exit and contrasts.
 */
import { Type, type TNull, type TSchema, type TUnion } from 'typebox'

export const integer = (minimum: number, maximum: number, value: number, description: string) =>
  Type.Integer({ minimum, maximum, default: value, description })
export const number = (minimum: number, maximum: number, value: number, description: string) =>
  Type.Number({ minimum, maximum, default: value, description })
export const nullable = <T extends TSchema> (schema: T, description: string): TUnion<[T, TNull]> =>
  Type.Union([schema, Type.Null()], { default: null, description })
export const probability = Type.Number({ exclusiveMinimum: 0, maximum: 1 })
export const closed = { additionalProperties: false } as const

export const common = {
  rewards: Type.Array(Type.Object({
    name: Type.String({ minLength: 1 }),
    weight: Type.Number({ minimum: -1000, maximum: 1000, default: 1 })
  }, closed), {
    default: [],
    maxItems: 16,
    description: 'rewards with weights; the strategy maximises their weighted sum. `reward: "name"` is shorthand for ' +
      'one reward with weight 1'
  }),
  reward_scale: Type.Enum(['standardized', 'raw'],
    {
      default: 'standardized',
      description: 'standardised on the policy’s own answers, or raw: as the reward computes it'
    }),
  max_generated_tokens: nullable(Type.Integer({ minimum: 1, maximum: 1 << 30 }),
    'soft token limit over all candidates: once reached, the best answer so far is returned'),
  deadline_ms: nullable(Type.Integer({ minimum: 1, maximum: 1 << 30 }),
    'soft time limit: once reached, the best answer so far is returned'),
  return_candidates: Type.Boolean({ default: false, description: 'include every candidate in the response' }),
  return_progress: Type.Boolean({ default: false, description: 'stream the current candidates and their scores' }),
  return_trace: Type.Boolean({
    default: false,
    description: 'include every candidate and, for each step of the search, which candidates were kept or pruned, ' +
      'with their rewards'
  })
}

export const strength = number(-1000, 1000, 1,
  'how hard to steer: the target is policy · exp(strength · standardised reward); 0 leaves the policy unchanged')
export const onPrefixes = {
  allow_scope_mismatch: Type.Boolean({
    default: false, description: 'score prefixes with an outcome reward (made for whole answers), with a warning'
  })
}

export const stepSchema = Type.Object({
  tokens: Type.Optional(Type.Integer({ minimum: 1, maximum: 4096 })),
  delimiter: Type.Optional(Type.String({ minLength: 1, maxLength: 64 }))
}, {
  ...closed,
  default: { tokens: 16 },
  description: 'how far candidates grow between scorings: a number of tokens, or up to a delimiter'
})

export const extractSchema = Type.Union([
  Type.Enum(['text', 'last_line', 'last_number', 'boxed']),
  Type.Object({ after: Type.String({ minLength: 1, maxLength: 64 }) }, closed)
], {
  default: 'text',
  description: 'part of the answer that is voted on: the whole text, its last line, its last number, the content of ' +
    'its last \\boxed{}, or the rest of the line after the last occurrence of a string (after). Numbers and LaTeX ' +
    'are normalised'
})

/** How one of several finished answers is chosen. */
export const choosing = {
  selection: Type.Enum(['argmax', 'softmax', 'pessimistic', 'threshold', 'kl_regularized', 'mbr', 'mbr_regularized',
    'majority', 'weighted_majority'],
  { default: 'argmax', description: 'rule that chooses the answer: see Selection' }),
  strength,
  min_reward: nullable(Type.Number({ minimum: -1e6, maximum: 1e6 }), 'minimum reward for selection threshold'),
  fallback: Type.Enum(['best', 'error'], {
    default: 'best',
    description: 'if no answer meets min_reward: return the best one with a warning, or fail with 422 ' +
      'reward_below_threshold'
  }),
  logprob_weight: number(-1000, 1000, 0.1, 'weight of ln π(y) in kl_regularized, per nat'),
  similarity_weight: number(-1000, 1000, 1, 'weight of the mean similarity to the other answers in mbr_regularized'),
  extract: extractSchema
}

export const stopSchema = nullable(Type.Object({
  min_reward: Type.Optional(Type.Number({ minimum: -1e6, maximum: 1e6 })),
  leader_probability: Type.Optional(probability),
  majority_probability: Type.Optional(probability),
  every: integer(1, 128, 4, 'answers sampled between two checks'),
  eager: Type.Boolean({
    default: false, description: 'with min_reward: also check answers while they are being generated'
  })
}, closed), 'early exit: samples `every` answers at a time and stops once one reaches min_reward, or once the best ' +
  '(or most frequent) answer is likely enough to remain so. With eager (for min_reward) the first answer to reach ' +
  'it stops the others, answers that can no longer reach it (under rules such as a word limit) are dropped early, ' +
  'except the first answer, and rounds grow to half of the answers sampled so far: fewer tokens, and shorter answers')

export const contextSchema = Type.Object({
  model: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  system: Type.Optional(Type.String({ maxLength: 65536 })),
  prefix: Type.Optional(Type.String({ minLength: 1, maxLength: 65536 }))
}, closed)

export const contrastSchema = nullable(Type.Object({
  toward: nullable(contextSchema, 'context whose probable tokens are favoured'),
  away: nullable(contextSchema, 'context whose probable tokens are disfavoured')
}, closed), 'contrastive guidance: the answer is also read in two other contexts, and a token’s value is ln π(v | ' +
  'toward) − ln π(v | away). A context changes the system message (system), inserts text before the last user ' +
  'message (prefix), uses another model of the server (model, see contrast-models), or, as {}, is the request’s own ' +
  'prompt; a context that is left out contributes nothing')
