/**
 * The parameters of every strategy, once: type, default, range, meaning. Validation, `--help`, the docs' tables and the
 * API follow from this file. Wire names (snake_case) are used as they are. Rules between fields are in
 * `parameter-rules.ts`.
 */
import { Type, type Static, type TObject, type TProperties } from 'typebox'
import {
  choosing, closed, common, contrastSchema, integer, nullable, number, onPrefixes, stepSchema, stopSchema, strength,
  type contextSchema, type extractSchema
} from './parameter-schemas.js'

/** With it, `maxOfPoisson` is 128 at most. */
export const maxPoissonMean = 64

export const strategySchemas = {
  best_of_n: Type.Object({
    ...common,
    num_candidates: integer(1, 128, 8, 'answers sampled; with poisson_mean, the maximum'),
    poisson_mean: nullable(Type.Number({ minimum: 0, maximum: maxPoissonMean }),
      'samples 1 + Poisson(poisson_mean) answers (Best-of-Poisson); num_candidates is then derived from it'),
    ...choosing,
    max_kl: nullable(Type.Number({ minimum: 0, maximum: 1e6 }),
      'KL budget in nats, for selection softmax: strength is lowered until the choice among these answers stays ' +
        'within it'),
    stop_when: stopSchema
  }, closed),
  speculative_rejection: Type.Object({
    ...common,
    ...onPrefixes,
    num_candidates: integer(1, 128, 16, 'answers started'),
    reject_fraction: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      default: 0.25,
      description: 'fraction of the remaining candidates rejected at each checkpoint'
    }),
    checkpoints: Type.Array(Type.Integer({ minimum: 1, maximum: 1 << 20 }), {
      minItems: 1,
      maxItems: 64,
      default: [8, 12, 16, 24, 32, 48, 64, 96, 128],
      description: 'token counts at which all candidates are scored, ascending'
    })
  }, closed),
  beam_search: Type.Object({
    ...common,
    ...onPrefixes,
    num_beams: integer(1, 64, 4, 'beams kept after each step'),
    num_children: integer(1, 64, 4, 'continuations sampled per beam'),
    step: stepSchema,
    keep: Type.Enum(['top', 'sample'],
      {
        default: 'top', description: 'keep the best beams, or sample them without replacement ∝ exp(strength · reward)'
      }),
    strength,
    score_every: integer(1, 1024, 1, 'steps between scorings; beams branch only in the last step before a scoring'),
    lookahead_tokens: integer(0, 4096, 0, 'tokens drawn greedily beyond each prefix before the reward reads it'),
    max_steps: nullable(Type.Integer({ minimum: 1, maximum: 1 << 20 }), 'maximum number of scorings')
  }, closed),
  dvts: Type.Object({
    ...common,
    ...onPrefixes,
    num_trees: integer(1, 64, 4, 'independent searches, each with one beam'),
    num_children: integer(1, 64, 4, 'continuations sampled per beam'),
    step: stepSchema,
    lookahead_tokens: integer(0, 4096, 0, 'tokens drawn greedily beyond each prefix before the reward reads it'),
    ...choosing
  }, closed),
  rebase: Type.Object({
    ...common,
    ...onPrefixes,
    width: integer(1, 128, 16, 'continuations sampled per step, including finished answers'),
    allocation_temperature: Type.Number({
      minimum: 0.001,
      maximum: 1000,
      default: 0.2,
      description: 'temperature T of the softmax exp(reward / T) that allocates children'
    }),
    step: stepSchema,
    ...choosing
  }, closed),
  particle_filter: Type.Object({
    ...common,
    ...onPrefixes,
    num_particles: integer(1, 128, 8, 'number of particles'),
    weighting: Type.Enum(['twisted', 'product'], {
      default: 'twisted',
      description: 'twisted targets policy · exp(strength · reward of the answer); product multiplies the policy by ' +
        'that factor after every step'
    }),
    strength,
    ess_threshold: number(0, 1, 0.5,
      'resample when the effective sample size, as a fraction of the particles, falls below this'),
    resampling: Type.Enum(['systematic', 'multinomial'],
      { default: 'systematic', description: 'resampling scheme' }),
    final_choice: Type.Enum(['weight', 'argmax'],
      { default: 'weight', description: 'sample a particle by weight, or take the one with the best reward' }),
    num_iterations: integer(1, 64, 1, 'passes over all particles; each pass after the first keeps the particle drawn ' +
      'last and generates the others anew (particle Gibbs)'),
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
      description: 'where a segment ends: before a token whose entropy in nats is at least this (4 to 64 tokens), or ' +
        'after a number of tokens'
    }),
    strength: number(0, 1000, 1, 'how hard to steer: a segment d below the threshold is accepted with probability ' +
      'exp(−strength · d); 0 leaves the policy unchanged'),
    threshold_mix: number(0, 1, 0.5,
      'where the threshold starts, from the reward of an empty answer (0) to target_reward (1)'),
    target_reward: nullable(Type.Number({ minimum: -1e6, maximum: 1e6 }),
      'final threshold; null is one standard deviation above the policy’s mean'),
    max_tries: integer(1, 128, 8, 'maximum samples per segment; after that the best one is accepted')
  }, closed),
  token_guidance: Type.Object({
    ...common,
    ...onPrefixes,
    method: nullable(Type.Enum(['args', 'rad', 'fudge', 'cd', 'vas', 'q_head', 'genarm', 'proxy_tuning']),
      'preset for a published method: sets the fields below that are not given; see Methods'),
    source: Type.Enum(['prefix', 'next_token', 'contrast'], {
      default: 'prefix',
      description: 'what scores candidate tokens: prefix reads the prefix extended by each token, next_token (a ' +
        'Q-head) predicts the values of all next tokens at once, contrast compares two contexts; contrast is the ' +
        'default if that field is given'
    }),
    contrast: contrastSchema,
    strength,
    candidates: Type.Object({
      top_k: integer(0, 128, 20, 'number of most probable tokens considered; 0 is all'),
      top_p: Type.Number({
        exclusiveMinimum: 0,
        maximum: 1,
        default: 1,
        description: 'smallest set of those tokens whose cumulative probability reaches top_p'
      })
    }, {
      ...closed,
      default: { top_k: 20, top_p: 1 },
      description: 'next tokens that are considered; top_k 0 is all of them, which source prefix does not support'
    }),
    transform: Type.Enum(['identity', 'centered', 'minmax', 'log_sigmoid', 'clip01'],
      { default: 'identity', description: 'transform applied to the candidates’ values' }),
    outside: Type.Enum(['mask', 'keep'], {
      default: 'mask',
      description: 'all other tokens: mask excludes them, keep gives them value 0 (needs transform centered)'
    }),
    draw: Type.Enum(['sample', 'argmax'], {
      default: 'sample',
      description: 'sample the token, or take the most probable one under guidance (its KL is unknown); temperature ' +
        '0 is argmax'
    }),
    guidance_before_temperature: Type.Boolean({
      default: false, description: 'divide the guidance term by the temperature too, as in some papers'
    }),
    warmup_tokens: nullable(Type.Integer({ minimum: 1, maximum: 2 ** 20 }),
      'tokens over which strength rises: token t gets strength · min(1, t / warmup_tokens); null: none. For rewards ' +
        'that average over the answer, whose first readings move most and say least'),
    max_kl: nullable(Type.Number({ minimum: 0, maximum: 1e6 }),
      'KL budget in nats per answer: guidance weakens as it is used up; needs draw sample and temperature above 0')
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
