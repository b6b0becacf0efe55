/**
 * Speculative rejection replayed on pools that were recorded with the reward of every answer at every checkpoint: what
 * it keeps of best-of-n's gain, and of its tokens.
 */
import { ratioOverPrompts, mean } from '../../src/evaluation/statistics.js'
import type { Estimate } from '../../src/reporting/estimate.js'
import type { Line, Part } from './part.js'

const size = 16
/** Tokens after which the pools are scored. */
const recordedAt = [4, 8, 12, 16, 24, 32]

/**
 * One answer: its tokens, its reward, and the rewards of its prefixes, as `recordedAt` has them; of an answer that had
 * ended, its own.
 */
interface Recorded { readonly tokens: number, readonly reward: number, readonly at: readonly number[] }

interface Row { readonly pool: readonly Recorded[] }

export interface Schedule { readonly checkpoints: readonly number[], readonly rejected: number }

/** The strategy's default, as far as answers of 48 tokens go. */
const byDefault: Schedule = { checkpoints: [8, 12, 16, 24, 32], rejected: 0.25 }

const schedules: readonly Schedule[] = [
  byDefault,
  ...[[8, 12, 16, 24], [12, 16, 24, 32]].map(checkpoints => ({ checkpoints, rejected: 0.25 })),
  ...[[8, 12, 16, 24, 32], [8, 16, 24, 32], [12, 16, 24, 32]].map(checkpoints => ({ checkpoints, rejected: 0.34 })),
  ...[[8], [16], [24], [8, 16], [12, 24], [16, 32], [8, 16, 32]].map(checkpoints => ({ checkpoints, rejected: 0.5 })),
  ...[[8], [12], [16], [24], [8, 16], [12, 24], [16, 32]].map(checkpoints => ({ checkpoints, rejected: 0.75 }))
]

/** What speculative rejection of a pool returns, and the tokens that it draws. */
export function replayed (
  pool: readonly Recorded[], { checkpoints, rejected }: Schedule
): { reward: number, tokens: number } {
  let left = pool.map((one, index) => ({ one, index }))
  let tokens = 0
  for (const checkpoint of checkpoints) {
    const at = recordedAt.indexOf(checkpoint)
    const ranked = [...left].sort((a, b) => b.one.at[at]! - a.one.at[at]! || a.index - b.index)
    left = ranked.slice(0, Math.max(1, Math.round((1 - rejected) * ranked.length)))
    for (const { one } of ranked.slice(left.length)) tokens += Math.min(one.tokens, checkpoint)
  }
  return {
    reward: Math.max(...left.map(({ one }) => one.reward)),
    tokens: tokens + left.reduce((sum, { one }) => sum + one.tokens, 0)
  }
}

/** One schedule over all pools: ratios of means. */
function shares (rows: readonly Row[], schedule: Schedule): { gain: Estimate, tokens: Estimate } {
  const perPrompt = rows.map(({ pool }) => {
    const { reward, tokens } = replayed(pool, schedule)
    const plain = mean(pool.map(one => one.reward))
    return {
      kept: reward - plain,
      gain: Math.max(...pool.map(one => one.reward)) - plain,
      tokens,
      all: pool.reduce((sum, one) => sum + one.tokens, 0)
    }
  })
  const share = (part: 'kept' | 'tokens', whole: 'gain' | 'all'): Estimate =>
    ratioOverPrompts(perPrompt, one => one[part], one => one[whole])
  return { gain: share('kept', 'gain'), tokens: share('tokens', 'all') }
}

function lineOf (rows: readonly Row[], schedule: Schedule): Line {
  const { gain, tokens } = shares(rows, schedule)
  return { checkpoints: schedule.checkpoints.join(', '), rejected: schedule.rejected, gain, tokens }
}

export const replay: Part<Row> = {
  ignoreEos: false,
  async record ({ ask, rewards, seed }, prompt) {
    const { result } = await ask(prompt, seed, {
      strategy: 'speculative_rejection',
      num_candidates: size,
      reject_fraction: 0,
      checkpoints: recordedAt,
      rewards,
      return_trace: true
    })
    const rewardsAt =
      recordedAt.map((_, round) => new Map(result.trace![Math.min(round, result.trace!.length - 1)]!.kept))
    return {
      pool: result.candidates.map(({ index, tokens, score }) => ({
        tokens, reward: score!.value, at: rewardsAt.map(at => at.get(index)!)
      }))
    }
  },
  report: (rows, { maxTokens }) => ({
    title: `Speculative rejection, replayed on pools of ${size}`,
    text: `Each pool of ${size} plain answers was drawn once, without rejection, and scored after ` +
      `${recordedAt.join(', ')} tokens; schedules were then replayed on it: at each checkpoint the share *rejected* ` +
      'of those left is dropped, and the best of the rest is returned. *gain* is the reward above the pool’s mean, ' +
      `as a share of that of best-of-${size}; *tokens* are what the schedule draws, as a share of all that the pool ` +
      `has. Answers have ${maxTokens} tokens at most: the longer they are, the smaller the share that the same ` +
      'schedule draws. The first schedule is the default. It was chosen on such pools; the second table has it on ' +
      'every other prompt alone.',
    tables: [
      {
        name: 'schedules',
        lines: schedules.filter(({ checkpoints }) => checkpoints.every(tokens => tokens < maxTokens)).map(schedule =>
          lineOf(rows, schedule))
      },
      {
        name: 'halves',
        lines: [0, 1].map(half => ({
          prompts: half === 0 ? '1st, 3rd, …' : '2nd, 4th, …',
          ...lineOf(rows.filter((_, index) => index % 2 === half), byDefault)
        }))
      }
    ]
  })
}
