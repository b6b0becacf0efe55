/** Verified answers as a report: Markdown with plots, and all figures as JSON beside it. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeEnvironment, type Environment } from '../reporting/environment.js'
import { markdownTable } from '../reporting/markdown.js'
import { writePlot } from '../reporting/plot.js'
import { percent, range } from './report.js'
import type { Estimate } from './statistics.js'
import type { VerifiedOptions, VerifiedResult } from './verified.js'

/** What was evaluated, for the report's head. */
export interface VerifiedSetting extends Omit<VerifiedOptions, 'folder' | 'retime'> { readonly fingerprint: string }

const maybe = (estimate: Estimate | null): string => estimate === null ? '–' : range(estimate)

/** The report as Markdown. */
export function describeVerified (
  { prompts, timedPrompts, finished, passAt, ways, kinds }: VerifiedResult,
  { candidates, maxTokens, fingerprint }: VerifiedSetting, environment: Environment
): string {
  const rate = (value: number): string => `${(100 * value).toFixed(0)} %`
  return `# Verified answers

${finished ? '' : `**Partial**: interrupted; ${prompts} prompts are in it. The same command goes on from there.\n\n`}${describeEnvironment(environment)}

Model ${fingerprint}; ${prompts} prompts that state a constraint which a program checks; answers of at most ${maxTokens} tokens, temperature 1; ${candidates} answers at most. In brackets: 95 % intervals over prompts (bootstrap).

![pass](plots/pass.svg)

${markdownTable(['n', 'pass@n of plain answers'], passAt.map(({ n, rate }) => [String(n), percent(rate)]))}

${markdownTable(['way', 'passes', `of pass@${candidates}`, 'tokens, in plain answers', 'time, in plain answers', 'retry loop’s time over its'], ways.map(way => [way.label, percent(way.passed), percent(way.shareOfBest), range(way.tokens), maybe(way.time), maybe(way.fasterThanRetry)]))}

*retry loop* is a client that asks for one plain answer after the other until one passes: the pool’s answers in their order, at the speed of a plain answer asked for alone. *best_of_n* draws 4 at a time until one passes, with the checks as reward
(\`stop_when\`); *eagerly* (\`eager: true\`) it also drops an answer as soon as a check can no longer hold, ends a round when one passes, and lets rounds grow; *JSON by grammar* asks for JSON with a \`response_format\` of its schema, which may pass where no plain answer does;
*beam_search* lets the checks judge prefixes, too. pass@n is the unbiased estimate from ${candidates} answers to each prompt. Times are of one request alone, ${timedPrompts === 0 ? 'and were not taken' : `over the first ${timedPrompts} prompts, on which all ways took turns`}.

${markdownTable(['kind', 'prompts', 'pass@1', `pass@${candidates}`, ...ways.map(({ label }) => `${label}: passes, tokens`)], kinds.map(one => [one.kind, String(one.prompts), rate(one.passAt1), rate(one.passAtMost), ...one.ways.map(({ passed, tokens }) => `${rate(passed)}, ${tokens.toFixed(1)}`)]))}

All figures: report.json.
`
}

/** Writes REPORT.md, report.json and plots/ into a folder. @returns the report's path */
export async function writeVerified (
  folder: string, result: VerifiedResult, setting: VerifiedSetting, environment: Environment
): Promise<string> {
  mkdirSync(folder, { recursive: true })
  await writePlot(join(folder, 'plots', 'pass.svg'), {
    title: 'Answers that pass, against tokens drawn',
    x: { label: 'tokens drawn, in plain answers', scale: 'log' },
    y: { label: 'share of prompts' },
    series: [
      {
        name: 'plain: pass@n with all n drawn',
        kind: 'line',
        points: result.passAt.map(({ n, rate }) => ({ x: n, y: rate.value, low: rate.low, high: rate.high }))
      },
      ...result.ways.map(({ label, tokens, passed }) => ({
        name: label,
        kind: 'points' as const,
        points: [{ x: tokens.value, y: passed.value, low: passed.low, high: passed.high }]
      }))
    ]
  })
  writeFileSync(join(folder, 'report.json'), `${JSON.stringify({ environment, ...setting, ...result }, null, 1)}\n`)
  const file = join(folder, 'REPORT.md')
  writeFileSync(file, describeVerified(result, setting, environment))
  return file
}
