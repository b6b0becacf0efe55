/** Time and tokens of each strategy against plain sampling, in turns. */
import { mean, meanOverPrompts } from '../../src/evaluation/statistics.js'
import type { Estimate } from '../../src/reporting/estimate.js'
import type { Answered, Measured, Part } from './part.js'

const costed = (rewards: Measured['rewards']): Readonly<Record<string, Readonly<Record<string, unknown>> | null>> => ({
  plain: null,
  'best_of_n 16': { strategy: 'best_of_n', num_candidates: 16, rewards },
  'speculative_rejection 16': { strategy: 'speculative_rejection', rewards },
  'beam_search 4×4': { strategy: 'beam_search', rewards },
  'dvts 4×4': { strategy: 'dvts', rewards },
  'rebase 16': { strategy: 'rebase', rewards },
  'particle_filter 16': { strategy: 'particle_filter', num_particles: 16, strength: 5, rewards },
  segment_rejection: { strategy: 'segment_rejection', segment: { tokens: 16 }, strength: 5, rewards },
  'token_guidance, read': { strategy: 'token_guidance', strength: 20, rewards },
  'token_guidance, q_head': { strategy: 'token_guidance', method: 'q_head', strength: 20, rewards },
  'token_guidance, contrast': {
    strategy: 'token_guidance', contrast: { toward: { system: 'You found it bad, and say so.' }, away: {} }
  }
})

interface Cost {
  readonly drawn: number,
  readonly returned: number,
  readonly rewardTokens: number,
  readonly forwardPasses: number,
  readonly ms: number,
  readonly kl: number | null
}

type Row = Readonly<Record<string, Cost>>

const costOf = ({ result, forwardPasses, ms }: Answered): Cost =>
  ({
    drawn: result.generatedTokens,
    returned: result.choices[0]!.completionTokens,
    rewardTokens: result.rewardTokens,
    forwardPasses,
    ms,
    kl: result.kl.value
  })

export const cost: Part<Row> = {
  ignoreEos: true,
  async record ({ ask, rewards, seed }, prompt) {
    const row: Record<string, Cost> = {}
    for (const [name, alignment] of Object.entries(costed(rewards))) {
      row[name] = costOf(await ask(prompt, seed, alignment))
    }
    return row
  },
  report: rows => ({
    title: 'What each strategy costs',
    text: 'Strategies are timed round-robin on every prompt, one request at a time; end tokens are ignored, so that ' +
      'every answer has all its tokens. Times are ratios to the plain answer to the same prompt, per token drawn and ' +
      'per token returned; other columns are means.',
    tables: [{
      name: 'cost',
      // What is kept of a prompt names it, too.
      lines: Object.keys(rows[0]!).filter(name => name !== 'prompt').map(name => {
        const own = rows.map(row => row[name]!)
        const of = (field: 'drawn' | 'returned' | 'rewardTokens' | 'forwardPasses'): number =>
          Math.round(mean(own.map(one => one[field])))
        const time = (per: 'drawn' | 'returned'): Estimate => meanOverPrompts(rows.map(row =>
          row[name]!.ms / row[name]![per] / (row['plain']!.ms / row['plain']![per])))
        const kl = own.flatMap(one => one.kl ?? [])
        return {
          strategy: name,
          drawn: of('drawn'),
          returned: of('returned'),
          'reward tokens': of('rewardTokens'),
          'forward passes': of('forwardPasses'),
          'time per token drawn': time('drawn'),
          'time per token returned': time('returned'),
          'KL, nats': kl.length === own.length ? mean(kl) : '–'
        }
      })
    }]
  })
}
