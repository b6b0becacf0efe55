/**
 * Figures about strategies on a real model, with a reward weighed −1 unless told otherwise (plain reviews are mostly
 * positive: steering to critical ones shows).
 *
 *   node dist/scripts/strategy-figures.js --part order|replay|guidance|cost [--count 20] [--max-tokens 48] \
 *     [--reward positive] [--weight -1] [--seed 1] [--records DIR] [--out DIR]
 *
 * order     the reward of best-of-n for n of 1 to 64, drawn, against its estimate from one pool of 64 of another seed
 * replay speculative rejection on pools of 16 recorded with their rewards at every checkpoint: share of best-of-16's
 * gain kept, and of its tokens guidance token guidance over strengths, by look-ahead, Q-head and contrast: reward,
 * judge, KL, fluency, against best-of-n at equal KL cost time and tokens of each strategy against plain sampling, in
 * turns; run it on an idle machine
 *
 * Prints a report; with --out it is written there, as PART.md, with its figures as PART.json. With --records what each
 * prompt gave is kept in that folder, and a run that was interrupted goes on; a report is then of the prompts that are
 * there.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadConfig } from '../src/config.js'
import { loadPrompts } from '../src/evaluation/prompt-sets.js'
import { Records } from '../src/evaluation/records.js'
import type { Estimate } from '../src/evaluation/statistics.js'
import { loadServedModel, type ServedModel } from '../src/serving/served-models.js'
import { score } from '../src/serving/score-answers.js'
import { describeEnvironment, environmentOf } from '../src/reporting/environment.js'
import { markdownTable } from '../src/reporting/markdown.js'
import { Progress } from '../src/reporting/progress.js'
import { asker } from './strategy-figures/asking.js'
import { cost } from './strategy-figures/cost.js'
import { guidance } from './strategy-figures/guidance.js'
import { order } from './strategy-figures/order.js'
import type { Figures, Line, Measured, Part } from './strategy-figures/part.js'
import { replay } from './strategy-figures/replay.js'

const { values: options } = parseArgs({
  options: {
    part: { type: 'string' },
    prompts: { type: 'string', default: 'reviews' },
    count: { type: 'string', default: '20' },
    'max-tokens': { type: 'string', default: '48' },
    reward: { type: 'string', default: 'positive' },
    weight: { type: 'string', default: '-1' },
    seed: { type: 'string', default: '1' },
    records: { type: 'string' },
    out: { type: 'string' }
  }
})

type Recorded = object & { readonly prompt: string }

const parts: Readonly<Record<string, Part<any>>> = { order, replay, guidance, cost }
const part = parts[options.part ?? '']
if (!part) {
  throw new Error(`--part must be one of ${Object.keys(parts).join(', ')}; got ${JSON.stringify(options.part)}`)
}

function measuredOn (host: ServedModel): Measured {
  const rewards = [{ name: options.reward, weight: Number(options.weight) }]
  return {
    rewards,
    maxTokens: Number(options['max-tokens']),
    seed: Number(options.seed),
    ask: asker(host, Number(options['max-tokens']), part!.ignoreEos),
    score: async (prompt, answer) => {
      const { items } = await score(host, {
        model: host.model.id,
        rewards,
        scale: 'standardized',
        member: 'outcome',
        items: [{ messages: [{ role: 'user', content: prompt }], answer }],
        every: null,
        cacheSalt: '',
        fields: { rewards: '--reward', items: '--prompts' }
      }, new AbortController().signal)
      return items[0]!.score.value
    }
  }
}

/** What each prompt gave, those of earlier runs included. */
async function recorded (host: ServedModel, measured: Measured, prompts: readonly string[]): Promise<Recorded[]> {
  const conditions = {
    part: options.part,
    model: host.model.fingerprint,
    rewards: measured.rewards,
    version: host.rewards.find(({ name }) => name === options.reward)?.version,
    maxTokens: measured.maxTokens,
    seed: measured.seed
  }
  const records = options.records === undefined
    ? null
    : Records.open<Recorded>(join(options.records, `${options.part}.jsonl`), conditions)
  const rows: Recorded[] = []
  const progress = new Progress()
  // The first answer compiles and warms what the others use.
  await measured.ask('Say hello.', 1, null)
  for (const [index, prompt] of prompts.entries()) {
    progress.tell('prompts', index, prompts.length)
    const known = records?.rows.find(row => row.prompt === prompt)
    const row = known ?? { prompt, ...await part!.record(measured, prompt) as object }
    if (!known) records?.append(row)
    rows.push(row)
  }
  progress.tell('prompts', prompts.length, prompts.length)
  progress.end()
  return rows
}

function cell (value: string | number | Estimate | undefined): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(3)
  if (typeof value !== 'object') return value ?? ''
  return Number.isNaN(value.value)
    ? '–'
    : `${value.value.toFixed(3)} [${value.low.toFixed(3)}, ${value.high.toFixed(3)}]`
}

const tableOf = (lines: readonly Line[]): string =>
  markdownTable(Object.keys(lines[0]!), lines.map(line => Object.keys(lines[0]!).map(name => cell(line[name]))))

function pageOf ({ title, text, tables }: Figures, count: number, environment: string): string {
  return `# ${title}

${environment}

${count} prompts of ${options.prompts}, answers of at most ${options['max-tokens']} tokens at temperature 1; reward ${options.reward}, weight ${options.weight}, seed ${options.seed}. In brackets: 95 % intervals over prompts (bootstrap).

${text}

${tables.map(({ lines }) => tableOf(lines)).join('\n\n')}
`
}

const environment = environmentOf('node dist/scripts/strategy-figures.js', process.argv.slice(2))
const host = await loadServedModel(loadConfig(), message => { console.error(message) })
try {
  const measured = measuredOn(host)
  const rows = await recorded(host, measured, loadPrompts(options.prompts).slice(0, Number(options.count)))
  const figures = part.report(rows, measured)
  const page = pageOf(figures, rows.length, describeEnvironment(environment))
  console.log(page)
  if (options.out !== undefined) {
    mkdirSync(options.out, { recursive: true })
    writeFileSync(join(options.out, `${options.part}.md`), page)
    writeFileSync(join(options.out, `${options.part}.json`),
      `${JSON.stringify({ environment, model: host.model.fingerprint, prompts: rows.length, ...figures }, null, 1)}\n`)
  }
} finally {
  await host.close()
}
