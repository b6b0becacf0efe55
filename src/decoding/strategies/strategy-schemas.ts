/**
 * The parameters of every strategy, once: type, default, range, meaning. Validation, `--help`, the docs' tables and the
 * API follow from this file. Wire names (snake_case) are used as they are. Rules between fields are in
 * `parameter-rules.ts`.
 */
import { Type, type Static, type TNull, type TObject, type TProperties, type TSchema, type TUnion } from 'typebox'

const integer = (minimum: number, maximum: number, value: number, description: string) =>
  Type.Integer({ minimum, maximum, default: value, description })
const number = (minimum: number, maximum: number, value: number, description: string) =>
  Type.Number({ minimum, maximum, default: value, description })
const nullable = <T extends TSchema> (schema: T, description: string): TUnion<[T, TNull]> =>
  Type.Union([schema, Type.Null()], { default: null, description })
const probability = Type.Number({ exclusiveMinimum: 0, maximum: 1 })
const closed = { additionalProperties: false } as const

const common = {
  rewards: Type.Array(Type.Object({
    name: Type.String({ minLength: 1 }),
    weight: Type.Number({ minimum: -1000, maximum: 1000, default: 1 })
  }, closed), {
    default: [],
    maxItems: 16,
    description: 'rewards and their weights; their weighted sum steers. `reward: "name"` is short for one of weight 1'
  }),
  reward_scale: Type.Enum(['standardized', 'raw'],
    { default: 'standardized', description: 'standardised on the policy’s own answers, or as the reward computes it' }),
  max_generated_tokens: nullable(Type.Integer({ minimum: 1, maximum: 1 << 30 }),
    'soft limit of tokens over all candidates: the best so far is returned'),
  deadline_ms: nullable(Type.Integer({ minimum: 1, maximum: 1 << 30 }),
    'soft limit of time: the best so far is returned'),
  return_candidates: Type.Boolean({ default: false, description: 'list every candidate in the response' }),
  return_progress: Type.Boolean({ default: false, description: 'stream candidates and scores so far' }),
  return_trace: Type.Boolean({
    default: false,
    description: 'list every candidate, and after each step of the search who was kept and who dropped, with ' +
      'their rewards'
  })
}

/** With it, `maxOfPoisson` is 128 at most. */
export const maxPoissonMean = 64

const strength = number(-1000, 1000, 1,
  'how hard to steer: the target is policy · exp(strength · standardised reward); 0 is the policy')
const onPrefixes = {
  allow_scope_mismatch: Type.Boolean({
    default: false, description: 'score prefixes with a reward made for whole answers, with a warning'
  })
}

const stepSchema = Type.Object({
  tokens: Type.Optional(Type.Integer({ minimum: 1, maximum: 4096 })),
  delimiter: Type.Optional(Type.String({ minLength: 1, maxLength: 64 }))
}, {
  ...closed,
  default: { tokens: 16 },
  description: 'how far candidates grow before they are scored: a number of tokens, or as far as a text'
})

const extractSchema = Type.Union([
  Type.Enum(['text', 'last_line', 'last_number', 'boxed']),
  Type.Object({ after: Type.String({ minLength: 1, maxLength: 64 }) }, closed)
], {
  default: 'text',
  description: 'what of an answer is voted for: all of it, its last line, its last number, what its last \\boxed{} ' +
    'holds, or its line after the last place where a text stands. Numbers and LaTeX are made alike'
})

/** How one of several finished answers is chosen. */
export const choosing = {
  selection: Type.Enum(['argmax', 'softmax', 'pessimistic', 'threshold', 'kl_regularized', 'mbr', 'mbr_regularized',
    'majority', 'weighted_majority'], { default: 'argmax', description: 'how the answer is chosen: see Selection' }),
  strength,
  min_reward: nullable(Type.Number({ minimum: -1e6, maximum: 1e6 }), 'what threshold asks for'),
  fallback: Type.Enum(['best', 'error'], {
    default: 'best',
    description: 'where threshold is not met: the best all the same, with a warning, or a 422 reward_below_threshold'
  }),
  logprob_weight: number(-1000, 1000, 0.1, 'of ln π(y) in kl_regularized, per nat'),
  similarity_weight: number(-1000, 1000, 1, 'of the mean similarity to the other answers in mbr_regularized'),
  extract: extractSchema
}

const stopSchema = nullable(Type.Object({
  min_reward: Type.Optional(Type.Number({ minimum: -1e6, maximum: 1e6 })),
  leader_probability: Type.Optional(probability),
  majority_probability: Type.Optional(probability),
  every: integer(1, 128, 4, 'answers drawn between two looks'),
  eager: Type.Boolean({ default: false, description: 'with min_reward: looks at answers as they grow, too' })
}, closed), 'draws answers `every` at a time, and no more once one has min_reward, or the best (or most frequent) is ' +
  'likely enough to stay it. With eager, for min_reward, the first to have it ends the others, answers that can no ' +
  'longer have it (by rules such as a word limit) are dropped where they are, but for the first, and rounds grow to ' +
  'half of what was drawn: fewer tokens, and shorter answers')

const contextSchema = Type.Object({
  model: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  system: Type.Optional(Type.String({ maxLength: 65536 })),
  prefix: Type.Optional(Type.String({ minLength: 1, maxLength: 65536 }))
}, closed)

const contrastSchema = nullable(Type.Object({
  toward: nullable(contextSchema, 'where a probable token is worth more'),
  away: nullable(contextSchema, 'where a probable token is worth less')
}, closed), 'the request’s prompt in two other contexts, in which the answer is read along: a token is worth ln π(v ' +
  '| toward) − ln π(v | away). A context has another system message (system), a text before the last user message ' +
  '(prefix), another model of the server (model, see contrast-models), or, as {}, nothing else; one that is left ' +
  'out counts nothing')

export const strategySchemas = {
  best_of_n: Type.Object({
    ...common,
    num_candidates: integer(1, 128, 8, 'answers drawn; with poisson_mean at most'),
    poisson_mean: nullable(Type.Number({ minimum: 0, maximum: maxPoissonMean }),
      'draws 1 + Poisson(poisson_mean) answers (Best-of-Poisson); num_candidates then follows from it'),
    ...choosing,
    max_kl: nullable(Type.Number({ minimum: 0, maximum: 1e6 }),
      'nats, with selection softmax: the strength is lowered until the choice among these answers costs no more'),
    stop_when: stopSchema
  }, closed),
  speculative_rejection: Type.Object({
    ...common,
    ...onPrefixes,
    num_candidates: integer(1, 128, 16, 'answers begun'),
    reject_fraction: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      default: 0.25,
      description: 'share of the candidates left that a checkpoint rejects'
    }),
    checkpoints: Type.Array(Type.Integer({ minimum: 1, maximum: 1 << 20 }), {
      minItems: 1,
      maxItems: 64,
      default: [8, 12, 16, 24, 32, 48, 64, 96, 128],
      description: 'tokens after which all are scored, ascending'
    })
  }, closed),
  beam_search: Type.Object({
    ...common,
    ...onPrefixes,
    num_beams: integer(1, 64, 4, 'beams kept after each step'),
    num_children: integer(1, 64, 4, 'continuations drawn of each beam'),
    step: stepSchema,
    keep: Type.Enum(['top', 'sample'],
      { default: 'top', description: 'the best beams, or a draw without replacement ∝ exp(strength · reward)' }),
    strength,
    score_every: integer(1, 1024, 1, 'steps between two scorings: beams branch in the last of them only'),
    lookahead_tokens: integer(0, 4096, 0, 'tokens drawn greedily beyond each prefix before the reward reads it'),
    max_steps: nullable(Type.Integer({ minimum: 1, maximum: 1 << 20 }), 'scorings at most')
  }, closed),
  dvts: Type.Object({
    ...common,
    ...onPrefixes,
    num_trees: integer(1, 64, 4, 'independent searches, each with one beam'),
    num_children: integer(1, 64, 4, 'continuations drawn of each beam'),
    step: stepSchema,
    lookahead_tokens: integer(0, 4096, 0, 'tokens drawn greedily beyond each prefix before the reward reads it'),
    ...choosing
  }, closed),
  rebase: Type.Object({
    ...common,
    ...onPrefixes,
    width: integer(1, 128, 16, 'continuations drawn in a step, answers that have ended included'),
    allocation_temperature: Type.Number({
      minimum: 0.001, maximum: 1000, default: 0.2, description: 'T of the shares exp(reward / T)'
    }),
    step: stepSchema,
    ...choosing
  }, closed),
  particle_filter: Type.Object({
    ...common,
    ...onPrefixes,
    num_particles: integer(1, 128, 8, 'particles'),
    weighting: Type.Enum(['twisted', 'product'], {
      default: 'twisted',
      description: 'twisted targets policy · exp(strength · reward of the answer), product the policy times that ' +
        'factor after every step'
    }),
    strength,
    ess_threshold: number(0, 1, 0.5, 'resamples where the effective share of particles is below'),
    resampling: Type.Enum(['systematic', 'multinomial'],
      { default: 'systematic', description: 'how offspring are drawn' }),
    final_choice: Type.Enum(['weight', 'argmax'],
      { default: 'weight', description: 'a particle drawn by weight, or the one with the best reward' }),
    num_iterations: integer(1, 64, 1, 'passes of all particles; in each but the first the particle that was drawn ' +
      'last is retained and the others are drawn anew (particle Gibbs)'),
    step: stepSchema
  }, closed),
  segment_rejection: Type.Object({
    ...common,
    ...onPrefixes,
    segment: Type.Object({
      entropy: Type.Optional(Type.Number({ minimum: 0, maximum: 20 })),
      tokens: Type.Optional(Type.Integer({ minimum: 1, maximum: 4096 }))
    }, {
      ...closed,
      default: { entropy: 3 },
      description: 'where a segment ends: before a token of this entropy, nats (4 to 64 tokens), or after so ' +
        'many tokens'
    }),
    strength: number(0, 1000, 1, 'how hard to steer: a segment d below the threshold is accepted with probability ' +
      'exp(−strength · d); 0 is the policy'),
    threshold_mix: number(0, 1, 0.5,
      'where the threshold starts: between the reward of nothing, 0, and target_reward, 1'),
    target_reward: nullable(Type.Number({ minimum: -1e6, maximum: 1e6 }),
      'where the threshold ends; null is one standard deviation above the policy’s mean'),
    max_tries: integer(1, 128, 8, 'segments drawn in one place; after them the best of them is taken')
  }, closed),
  token_guidance: Type.Object({
    ...common,
    ...onPrefixes,
    method: nullable(Type.Enum(['args', 'rad', 'fudge', 'cd', 'vas', 'q_head', 'genarm', 'proxy_tuning']),
      'a published method: fills the fields below that are not given; see Methods'),
    source: Type.Enum(['prefix', 'next_token', 'contrast'], {
      default: 'prefix',
      description: 'what values tokens: a reward that reads the prefix with each, a reward that values all next ' +
        'tokens at once, without reading them, or contrast; contrast where that is given'
    }),
    contrast: contrastSchema,
    strength,
    candidates: Type.Object({
      top_k: integer(0, 128, 20, 'most probable tokens looked at; 0 is all'),
      top_p: Type.Number({
        exclusiveMinimum: 0, maximum: 1, default: 1, description: 'of them, the fewest that have this probability'
      })
    }, {
      ...closed,
      default: { top_k: 20, top_p: 1 },
      description: 'next tokens that are looked at; top_k 0 is all of them, which source prefix cannot'
    }),
    transform: Type.Enum(['identity', 'centered', 'minmax', 'log_sigmoid', 'clip01'],
      { default: 'identity', description: 'applied to the values of the candidates' }),
    outside: Type.Enum(['mask', 'keep'], {
      default: 'mask', description: 'other tokens: never drawn, or kept with value 0, which needs transform centered'
    }),
    draw: Type.Enum(['sample', 'argmax'], {
      default: 'sample',
      description: 'the token is drawn, or the most probable under guidance, whose KL is not known; temperature 0 ' +
        'is argmax'
    }),
    guidance_before_temperature: Type.Boolean({
      default: false, description: 'the temperature divides the guidance, too, as in some papers'
    }),
    max_kl: nullable(Type.Number({ minimum: 0, maximum: 1e6 }),
      'nats per answer: guidance weakens as they are spent; with draw sample and a temperature above 0')
  }, closed)
}

export type StrategyName = keyof typeof strategySchemas
export type ParametersOf<N extends StrategyName> = Static<(typeof strategySchemas)[N]>
export type StepParams = Static<typeof stepSchema>
export type Extract = Static<typeof extractSchema>
/**
 * How a prompt is changed for another context, and who reads it; without fields it is the prompt as it is, read by the
 * policy.
 */
export type Context = Static<typeof contextSchema>
export type StopWhen = NonNullable<ParametersOf<'best_of_n'>['stop_when']>
/** What choosing among finished answers goes by. */
export type ChoosingParams = Pick<ParametersOf<'best_of_n'>, keyof typeof choosing>

/** A checked request for guidance: every parameter filled in. */
export type AlignmentRequest =
  { [N in StrategyName]: { readonly strategy: N } & Readonly<ParametersOf<N>> }[StrategyName]

export const strategyNames = Object.keys(strategySchemas) as StrategyName[]

/** The schema of a strategy's own parameters and the common ones. */
export const schemaOf = (strategy: StrategyName): TObject<TProperties> => strategySchemas[strategy]

/** What published methods of token guidance set; the papers’ rewards are not standardised. */
export const methodPresets = {
  args: {
    strength: 1.5, candidates: { top_k: 10, top_p: 1 }, draw: 'argmax', allow_scope_mismatch: true, reward_scale: 'raw'
  },
  rad: { strength: 30, transform: 'clip01', reward_scale: 'raw' },
  fudge: { candidates: { top_k: 10, top_p: 1 }, transform: 'log_sigmoid', reward_scale: 'raw' },
  cd: { reward_scale: 'raw' },
  vas: { strength: 3, transform: 'centered', outside: 'keep', reward_scale: 'raw' },
  q_head: { source: 'next_token', candidates: { top_k: 64, top_p: 1 } },
  genarm: { source: 'contrast', candidates: { top_k: 0, top_p: 1 }, guidance_before_temperature: true },
  proxy_tuning: { source: 'contrast', candidates: { top_k: 0, top_p: 0.9 }, guidance_before_temperature: true }
} as const satisfies Record<string, Partial<ParametersOf<'token_guidance'>>>

/** The whole `alignment` object as JSON Schema. */
export const alignmentSchema = {
  anyOf: strategyNames.map(name => ({
    type: 'object',
    properties: {
      strategy: { const: name, ...(name === 'best_of_n' ? { default: name } : {}) },
      reward: { type: 'string' },
      ...strategySchemas[name].properties
    },
    additionalProperties: false
  }))
}
