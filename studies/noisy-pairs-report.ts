/** What noisy pairs gave, as Markdown. Knows figures, not how they were found. */
import { describeEnvironment, type Environment } from '../src/reporting/environment.js'
import { percentage } from '../src/reporting/estimate.js'
import { markdownTable, tableOf } from '../src/reporting/report.js'
import { rounded, showFigure, type Figure } from './setup.js'

/** A way of deciding how hard to press. */
export interface Choice {
  readonly name: string
  /** The judge's, over draws. */
  readonly gain: Figure
  /** Of the best choice in hindsight. */
  readonly share: number
  /** Answers drawn, mean. */
  readonly drawn: number
  /** Draws whose 95 % interval over prompts lies above and below 0. */
  readonly above: number
  readonly below: number
}

export interface NoisyPairs {
  readonly environment: Environment
  readonly prompts: string
  readonly judge: string
  readonly weight: string
  /** Prompts that are pressed, and those that pairs are of. */
  readonly pools: number
  readonly training: number
  readonly draws: number
  readonly pairs: number
  readonly penalty: number
  readonly sizes: readonly number[]
  /** Strengths of softmax selection that the oracle chooses among, beside the sizes. */
  readonly strengths: readonly number[]
  /** The judge's gain by rule and size, and that at the largest size over the first rule's. */
  readonly rules: ReadonlyArray<{ readonly rule: string, readonly gains: readonly Figure[], readonly over: Figure }>
  /** What the judge itself gains, by size. */
  readonly judged: readonly number[]
  readonly oracle: Figure
  readonly accuracy: Figure
  readonly choices: readonly Choice[]
}

export function describeNoisyPairs (found: NoisyPairs): string {
  const { environment, sizes, rules, judged, oracle, choices, draws } = found
  const largest = sizes.at(-1)!
  const ruleRows = rules.map(({ rule, gains, over }, index) =>
    [rule, ...gains.map(showFigure), index === 0 ? '–' : showFigure(over)])
  return `# Rewards from 200 pairs, a quarter of them labelled wrongly

${describeEnvironment(environment)}

Prompts ${found.prompts}, judge ${found.judge}, weight ${found.weight}: ${found.pools} prompts with ${largest} plain answers each, 48 tokens at most; pairs of answers to ${found.training} other prompts, ${draws} draws of ${found.pairs} pairs, errors and
bootstraps. A fit's cross-validated accuracy on its own wrong labels is ${showFigure(found.accuracy)}. Gains are the judge's, over plain answers, in standard deviations of plain answers; ± is one standard error over draws. uwo and lcb have penalty ${found.penalty}.

## One head against five

${markdownTable(['best of', ...sizes.map(String), `at ${largest} over single`], [...ruleRows, ['oracle: the judge itself', ...judged.map(rounded), '–']])}

## When to stop

The oracle knows the judge's mean over all prompts: for each draw it takes the best of n = ${sizes.join(', ')} and of softmax selection at strengths ${found.strengths.join(', ')}, ${showFigure(oracle)}.

${tableOf(choices, [
  ['choice', ({ name }) => name], ['gain', ({ gain }) => showFigure(gain)],
  ['share of the oracle’s', ({ share }) => percentage(share, 0)],
  ['answers drawn', ({ drawn }) => drawn.toFixed(1)], ['draws clearly above plain', ({ above }) => String(above)],
  ['draws clearly below plain', ({ below }) => String(below)]
])}

Clearly: the 95 % interval over prompts does not hold 0.`
}
