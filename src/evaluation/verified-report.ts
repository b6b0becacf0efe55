/** Verified answers as a report: Markdown with plots, and all figures as JSON beside it. */
import type { Environment } from '../reporting/environment.js'
import { maybe, percent, percentage, range } from '../reporting/estimate.js'
import type { Plot } from '../reporting/plot.js'
import { headOf, partialPrompts, tableOf, writeReport, type Column } from '../reporting/report.js'
import type { VerifiedOptions, VerifiedResult } from './verified.js'

/** What was evaluated, for the report's head. */
export interface VerifiedSetting extends Omit<VerifiedOptions, 'folder' | 'retime'> { readonly fingerprint: string }

const configurationsTable = (
  { ways: configurations }: VerifiedResult, candidates: number
): string => tableOf(configurations, [
  ['configuration', ({ label }) => label], ['passes', ({ passed }) => percent(passed)],
  [`of pass@${candidates}`, ({ shareOfBest }) => percent(shareOfBest)],
  ['tokens, in plain answers', ({ tokens }) => range(tokens)],
  ['time, in plain answers', ({ time }) => maybe(time, range)],
  ['retry loop’s time over its', ({ fasterThanRetry }) => maybe(fasterThanRetry, range)]
])

function kindsTable ({ ways: configurations, kinds }: VerifiedResult, candidates: number): string {
  const rate = (value: number): string => percentage(value, 0)
  return tableOf(kinds, [
    ['kind', ({ kind }) => kind], ['prompts', ({ prompts }) => String(prompts)],
    ['pass@1', ({ passAt1 }) => rate(passAt1)], [`pass@${candidates}`, ({ passAtMost }) => rate(passAtMost)],
    ...configurations.map(({ label }, index): Column<typeof kinds[number]> => [`${label}: passes, tokens`, one =>
      `${rate(one.ways[index]!.passed)}, ${one.ways[index]!.tokens.toFixed(1)}`])
  ])
}

/** The report as Markdown. */
export function describeVerified (
  result: VerifiedResult, { candidates, maxTokens, fingerprint }: VerifiedSetting, environment: Environment
): string {
  const { prompts, timedPrompts, finished, passAt } = result
  return `${headOf('Verified answers', environment, partialPrompts(finished, prompts))}

Model ${fingerprint}; ${prompts} prompts that state a constraint which a program checks; answers of at most ${maxTokens} tokens, temperature 1; ${candidates} answers at most. In brackets: 95 % intervals over prompts (bootstrap).

![pass](plots/pass.svg)

${tableOf(passAt, [['n', ({ n }) => String(n)], ['pass@n of plain answers', ({ rate }) => percent(rate)]])}

${configurationsTable(result, candidates)}

*retry loop* is a client that asks for one plain answer after the other until one passes: the pool’s answers in their order, at the speed of a plain answer asked for alone. *best_of_n* draws 4 at a time until one passes, with the checks as reward
(\`stop_when\`); *eagerly* (\`eager: true\`) it also drops an answer as soon as a check can no longer hold, ends a round when one passes, and lets rounds grow; *JSON by grammar* asks for JSON with a \`response_format\` of its schema, which may pass where no plain answer does;
*beam_search* lets the checks judge prefixes, too. pass@n is the unbiased estimate from ${candidates} answers to each prompt. Times are of one request alone, ${timedPrompts === 0 ? 'and were not taken' : `over the first ${timedPrompts} prompts, on which all configurations were timed round-robin`}.

${kindsTable(result, candidates)}

All figures: report.json.
`
}

const passPlot = ({ passAt, ways: configurations }: VerifiedResult): Plot => ({
  title: 'Answers that pass, against tokens drawn',
  x: { label: 'tokens drawn, in plain answers', scale: 'log' },
  y: { label: 'share of prompts' },
  series: [
    {
      name: 'plain: pass@n with all n drawn',
      kind: 'line',
      points: passAt.map(({ n, rate: { value, low, high } }) => ({ x: n, y: value, low, high }))
    },
    ...configurations.map(({ label, tokens, passed: { value, low, high } }) =>
      ({ name: label, kind: 'points' as const, points: [{ x: tokens.value, y: value, low, high }] }))
  ]
})

/** Writes REPORT.md, report.json and plots/ into a folder. @returns the report's path */
export const writeVerified = (
  folder: string, result: VerifiedResult, setting: VerifiedSetting, environment: Environment
): Promise<string> => writeReport(folder, describeVerified(result, setting, environment),
  { environment, ...setting, ...result }, { pass: passPlot(result) })
