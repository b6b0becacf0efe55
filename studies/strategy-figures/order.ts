/** The reward of best-of-n, drawn, against its estimate from one pool of another seed by order statistics. */
import { meanOverPrompts } from '../../src/evaluation/statistics.js'
import type { Part } from './part.js'

const sizes = [1, 2, 4, 8, 16, 32, 64]
const pool = sizes.at(-1)!

interface Row {
  /** Rewards at each size: estimated from the pool, and of the answer drawn. */
  readonly estimated: readonly number[]
  readonly drawn: readonly number[]
}

export const order: Part<Row> = {
  ignoreEos: false,
  async record ({ ask, rewards, seed }, prompt) {
    const bestOf = (seed: number, n: number): ReturnType<typeof ask> =>
      ask(prompt, seed, { strategy: 'best_of_n', num_candidates: n, rewards })
    const { result } = await bestOf(seed, pool)
    const drawn: number[] = []
    for (const n of sizes) drawn.push((await bestOf(seed + 99 + n, n)).result.choices[0]!.score!.value)
    return { estimated: (result.details['reward_by_n'] as Array<{ reward: number }>).map(one => one.reward), drawn }
  },
  report: rows => ({
    title: 'Best-of-n against its estimate from one pool',
    text: 'For each prompt best-of-n was drawn for every n, each with a seed of its own, and beside it one pool of ' +
      `${pool} answers was drawn with another seed. *estimated* is the \`reward_by_n\` of that pool: the mean reward ` +
      'of the best of n of its answers, without bias. The two agree where the interval of their difference holds 0.',
    tables: [{
      name: 'reward by n',
      lines: sizes.map((n, index) => ({
        n,
        drawn: meanOverPrompts(rows.map(row => row.drawn[index]!)),
        estimated: meanOverPrompts(rows.map(row => row.estimated[index]!)),
        'drawn − estimated': meanOverPrompts(rows.map(row => row.drawn[index]! - row.estimated[index]!))
      }))
    }]
  })
}
