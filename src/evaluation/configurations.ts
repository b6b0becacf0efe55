/**
 * The configurations that an evaluation compares: plain sampling, every strategy, guidance at several strengths, and a
 * system prompt that asks for the same in words.
 */
import type { Configuration } from './sampling-runs.js'

/** The tokens that searches are given, in answers of full length. */
const budget = 16

/**
 * The plain pool: what best-of-n of any smaller n is computed from.
 * @param answers size of the pool
 */
export const plainPool = (answers: number): Configuration => ({ name: 'plain', system: null, alignment: null, answers })

/** A configuration that is compared. */
export interface ComparedConfiguration {
  /** What the report calls it. */
  readonly label: string
  /** What is asked for when it is timed, and, where the plain pool does not cover it, when it is sampled. */
  readonly configuration: Configuration
  /** n of best-of-n, whose answers come from the plain pool; 1 is plain. Null where answers are drawn. */
  readonly pooled: number | null
  /**
   * Answers drawn for each seed that is asked for: configurations that draw one answer can be drawn more often for the
   * same tokens.
   */
  readonly draws: number
  /** Guidance of one kind at several strengths: points that are joined in plots. */
  readonly curve: { readonly name: string, readonly strength: number } | null
  /** Whether the reward steers in its version that was fitted on whole answers only. */
  readonly outcomeOnly: boolean
}

type Alignment = Readonly<Record<string, unknown>>

/** Answers of configurations that draw one, for each of a search's. */
export const cheapDraws = 4

/** The KL that the report compares Q-head guidance at, nats. */
export const frontierNats = 2

/** The label of the unsteered configuration: the unit of time. */
export const plainLabel = 'plain'

/** Curves of token guidance, by what values the tokens. */
export const curves = {
  qHead: 'Q-head',
  warmedUp: 'Q-head, warmed up',
  prefix: 'look-ahead, fitted on prefixes',
  outcome: 'look-ahead, fitted on whole answers'
} as const

/** Searches with about `budget` answers' worth of tokens, and cheaper ones. */
function searches (maxTokens: number): Array<readonly [string, Alignment]> {
  const step = { tokens: Math.max(1, Math.round(maxTokens / 3)) }
  const sooner = (...shares: number[]): number[] =>
    [...new Set(shares.map(share => Math.max(1, Math.round(share * maxTokens))))]
  const checkpoints = sooner(1 / 6, 1 / 3, 2 / 3)
  // What a candidate costs on average, in answers: all to the first checkpoint, half of them to the second, …
  const perCandidate = [...checkpoints, maxTokens].reduce(
    (sum, tokens, index) => sum + (tokens - (checkpoints[index - 1] ?? 0)) / 2 ** index, 0
  ) / maxTokens
  return [
    ['speculative_rejection',
      { strategy: 'speculative_rejection', num_candidates: Math.round(budget / perCandidate), checkpoints }],
    ['speculative_rejection 16→4→1', {
      strategy: 'speculative_rejection',
      num_candidates: budget,
      reject_fraction: 0.75,
      checkpoints: sooner(1 / 4, 1 / 2)
    }],
    ['beam_search 4×4', { strategy: 'beam_search', num_beams: 4, num_children: 4, step }],
    ['beam_search 2×2', {
      strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: Math.max(1, Math.round(maxTokens / 6)) }
    }],
    ['dvts 4×4', { strategy: 'dvts', num_trees: 4, num_children: 4, step }],
    ['rebase 16', { strategy: 'rebase', width: budget, step }],
    ['particle_filter 16', { strategy: 'particle_filter', num_particles: budget, strength: 5, step }],
    ['segment_rejection', { strategy: 'segment_rejection', max_tries: budget, strength: 5, segment: step }]
  ]
}

/** The reward that steers. */
export interface Steering {
  readonly name: string
  readonly weight: number
  /** Whether it values next tokens. */
  readonly qHead: boolean
  /** Name of its version that was fitted on whole answers only; null where there is none. */
  readonly outcomeOnly: string | null
}

/** Guidance at several strengths, by each source of values that there is. */
function guided (
  { qHead, outcomeOnly }: Steering, maxTokens: number
): Array<Pick<ComparedConfiguration, 'label' | 'curve' | 'outcomeOnly' | 'draws'>
  & { readonly alignment: Alignment }> {
  const of = (name: string, strength: number, draws: number, fields: Alignment) =>
    ({
      label: `${name} ${strength}`,
      curve: { name, strength },
      draws,
      outcomeOnly: name === curves.outcome,
      alignment: { strategy: 'token_guidance', strength, ...fields }
    })
  // Tokens beyond the 64 that are valued stay as probable as they were: masking them alone would cost several nats an
  // answer.
  const byQHead = { method: 'q_head', transform: 'centered', outside: 'keep' }
  const warmup = { warmup_tokens: Math.max(1, Math.round(maxTokens / 2)) }
  return [
    ...qHead ? [1, 1.25, 2, 5, 20].map(strength => of(curves.qHead, strength, cheapDraws, byQHead)) : [],
    ...qHead
      ? [{
          ...of(curves.qHead, frontierStrength, cheapDraws, { ...byQHead, max_kl: frontierNats }),
          label: `${curves.qHead} ${frontierStrength}, max_kl ${frontierNats}`,
          curve: null
        }]
      : [],
    // The first spends `frontierNats` on answers of 48 tokens.
    ...qHead ? [9, 30].map(strength => of(curves.warmedUp, strength, cheapDraws, { ...byQHead, ...warmup })) : [],
    ...[2, 5, 20].map(strength => of(curves.prefix, strength, 1, {})),
    ...outcomeOnly !== null
      ? [5, 20].map(strength => of(curves.outcome, strength, 1, { allow_scope_mismatch: true }))
      : []
  ]
}

/**
 * Strength of the configuration limited to `frontierNats`: one that uses about as much by itself, since a larger one
 * uses all of it on the first tokens.
 */
const frontierStrength = 1.5

/** A label as part of a file's name. */
const fileName = (label: string): string => label.replaceAll('×', 'x').replaceAll('→', '-').replaceAll(/[^\w.-]+/g, '-')

/**
 * Everything that is compared.
 * @param folder where the files of this reward and weight go, relative to the store's
 * @param wish what a system message asks for in place of the reward; null for no prompted baseline
 * @param candidates size of the plain pool
 */
export function comparedConfigurations (
  folder: string, steering: Steering, wish: string | null, maxTokens: number, candidates: number
): ComparedConfiguration[] {
  const configurationOf = (label: string, alignment: Alignment, name = steering.name): Configuration => ({
    name: `${folder}/${fileName(label)}`,
    system: null,
    alignment: { ...alignment, rewards: [{ name, weight: steering.weight }] },
    answers: 1
  })
  const plain = { curve: null, outcomeOnly: false, draws: 1 }
  return [
    {
      ...plain,
      label: plainLabel,
      configuration: { name: 'plain-alone', system: null, alignment: null, answers: 1 },
      pooled: 1
    },
    ...[4, 16, 64].filter(n => n <= candidates).map(n => ({
      ...plain,
      label: `best_of_n ${n}`,
      configuration: configurationOf(`best_of_n ${n}`, { strategy: 'best_of_n', num_candidates: n }),
      pooled: n
    })),
    ...searches(maxTokens)
      .map(([label, alignment]) => ({
        ...plain, label, configuration: configurationOf(label, alignment), pooled: null
      })),
    ...guided(steering, maxTokens).map(({ alignment, ...one }) => ({
      ...one,
      configuration: configurationOf(one.label, alignment, one.outcomeOnly ? steering.outcomeOnly! : steering.name),
      pooled: null
    })),
    ...wish === null
      ? []
      : [{
          ...plain,
          label: 'prompted',
          draws: cheapDraws,
          configuration: { name: `${folder}/prompted`, system: wish, alignment: null, answers: 1 },
          pooled: null
        }]
  ]
}
