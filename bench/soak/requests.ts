/**
 * The requests of a soak, drawn at random: every strategy, plain ones, some that must be refused; some are aborted at
 * any moment. Pure.
 */
import { promptOf } from '../load/prompts.js'

export type SoakKind = 'plain' | 'choices' | 'best_of_n' | 'speculative_rejection' | 'beam_search' | 'dvts' | 'rebase'
  | 'particle_filter' | 'segment_rejection' | 'token_guidance' | 'bad'

export interface SoakRequest {
  readonly kind: SoakKind
  readonly body: Record<string, unknown>
  /** Null for one that is let finish. */
  readonly abortAfterMs: number | null
  /** Whether it must be refused. */
  readonly refusal: boolean
}

/** What an abort of ours says. */
export const aborted = 'aborted by the soak'

const searches: ReadonlyArray<readonly [SoakKind, object]> = [
  ['best_of_n', { num_candidates: 8 }],
  ['best_of_n', { num_candidates: 8, stop_when: { min_reward: 1, every: 2, eager: true } }],
  ['speculative_rejection', { num_candidates: 8, checkpoints: [4, 8] }],
  ['beam_search', { num_beams: 2, num_children: 3, step: { tokens: 6 } }],
  ['dvts', { num_trees: 2, num_children: 3, step: { tokens: 6 } }],
  ['rebase', { width: 6, step: { tokens: 6 } }],
  ['particle_filter', { num_particles: 6, step: { tokens: 6 } }],
  ['best_of_n', { poisson_mean: 4 }],
  ['particle_filter', { num_particles: 3, num_iterations: 2, step: { tokens: 6 } }],
  ['segment_rejection', { segment: { tokens: 6 }, max_tries: 4 }],
  ['token_guidance', { candidates: { top_k: 8 } }]
]

/** Share of requests that are aborted, of those that must be refused, and of plain ones. */
const shares = { aborted: 0.25, bad: 0.05, plain: 0.4 } as const
/** Aborts come within so long, evenly: before, while and after a request is computed. */
const longestMs = 2000

/** The bad ones: a field out of range, an unknown strategy, an unknown reward, an answer longer than the context. */
const mistakes: readonly object[] = [{ temperature: 9 }, { alignment: { strategy: 'magic' } },
  { alignment: { reward: 'no-such-reward' } }, { max_tokens: 1 << 20 }]

/**
 * @param random uniform in [0, 1)
 * @param streams whether half of the requests ask for a stream, as HTTP has it
 */
export function drawRequest (random: () => number, { model, maxTokens, reward, streams }: {
  readonly model: string, readonly maxTokens: number, readonly reward: string, readonly streams: boolean
}): SoakRequest {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const index = Math.floor(random() * 1e6)
  const body = {
    model,
    messages: [{ role: 'user', content: `${index}: ${promptOf(index)}` }],
    max_tokens: 1 + Math.floor(random() * maxTokens),
    seed: index,
    ...streams && random() < 0.5 ? { stream: true, stream_options: { include_usage: true } } : {}
  }
  const abortAfterMs = random() < shares.aborted ? Math.floor(random() * longestMs) : null
  const u = random()
  if (u < shares.bad) return { kind: 'bad', body: { ...body, ...pick(mistakes) }, abortAfterMs: null, refusal: true }
  if (u < shares.bad + shares.plain) {
    return random() < 0.8
      ? { kind: 'plain', body, abortAfterMs, refusal: false }
      : { kind: 'choices', body: { ...body, n: 3 }, abortAfterMs, refusal: false }
  }
  const [kind, fields] = pick(searches)
  return { kind, body: { ...body, alignment: { strategy: kind, reward, ...fields } }, abortAfterMs, refusal: false }
}
