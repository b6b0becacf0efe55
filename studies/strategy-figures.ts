/**
 * Figures about strategies on a real model, with a reward weighted −1 by default (plain reviews are mostly
 * positive: steering to critical ones shows).
 *
 *   node dist/studies/strategy-figures.js --part order|replay|guidance|cost [--count 20] [--max-tokens 48] \
 *     [--reward positive] [--weight -1] [--seed 1] [--records DIR] [--out DIR]
 *
 * order: the reward of best-of-n for n of 1 to 64, drawn, against its estimate from one pool of 64 of another seed
 * replay: speculative rejection on pools of 16 recorded with their rewards at every checkpoint: share of best-of-16's
 *   gain kept, and of its tokens
 * guidance: token guidance over strengths, by look-ahead, Q-head and contrast: reward, judge, KL, fluency, against
 *   best-of-n at equal KL
 * cost: time and tokens of each strategy against plain sampling, in turns; run it on an idle machine
 *
 * Prints a report; with --out it is written there, as PART.md, with its figures as PART.json. With --records what each
 * prompt gave is kept in that folder, and a run that was interrupted goes on; a report is then of the prompts that are
 * there.
 */
import { join } from 'node:path'
import { say } from '../src/cli/command.js'
import type { Options } from '../src/cli/options.js'
import { loadConfig } from '../src/config.js'
import { ask } from '../src/evaluation/sampling-runs.js'
import { loadPrompts } from '../src/evaluation/prompt-sets.js'
import { Records } from '../src/evaluation/records.js'
import { Progress } from '../src/reporting/progress.js'
import { range, type Estimate } from '../src/reporting/estimate.js'
import { headOf, tableOf, type Column } from '../src/reporting/report.js'
import { loadServedModel, type LocalModel } from '../src/serving/served-models.js'
import { score } from '../src/serving/score-answers.js'
import { refuse } from '../src/validation.js'
import { runProgram, type Arguments } from '../tools/program.js'
import { writePage } from './setup.js'
import { cost } from './strategy-figures/cost.js'
import { guidance } from './strategy-figures/guidance.js'
import { order } from './strategy-figures/order.js'
import type { Figures, Line, Measured, Part } from './strategy-figures/part.js'
import { replay } from './strategy-figures/replay.js'

const parts: Readonly<Record<string, Part<any>>> = { order, replay, guidance, cost }

const options: Options = {
  part: { type: 'string', help: `one of ${Object.keys(parts).join(', ')}` },
  prompts: { type: 'string', help: 'set of prompts', default: 'reviews' },
  count: { type: 'string', help: 'prompts, the first ones', default: '20' },
  'max-tokens': { type: 'string', help: 'tokens of an answer, at most', default: '48' },
  reward: { type: 'string', help: 'reward that steers', default: 'positive' },
  weight: { type: 'string', help: 'its weight', default: '-1' },
  seed: { type: 'string', help: 'of the first request to a prompt', default: '1' },
  records: { type: 'string', help: 'folder that keeps what each prompt gave' },
  out: { type: 'string', help: 'folder of the report' }
}

type Recorded = object & { readonly prompt: string }

function measuredOn (served: LocalModel, args: Arguments, ignoreEos: boolean): Measured {
  const rewards = [{ name: args.text('reward'), weight: args.number('weight') }]
  const [maxTokens, never] = [args.integer('max-tokens'), new AbortController().signal]
  return {
    rewards,
    maxTokens,
    seed: args.integer('seed', 0),
    async ask (prompt, seed, alignment) {
      const started = performance.now()
      const { result, usage } =
        await ask(served, { system: null, alignment, answers: 1 }, prompt, seed, { maxTokens, ignoreEos }, never)
      return { result, forwardPasses: usage.forwardPasses, ms: performance.now() - started }
    },
    async score (prompt, answer) {
      const { items } = await score(served, {
        model: served.model.id,
        rewards,
        scale: 'standardized',
        member: 'outcome',
        items: [{ messages: [{ role: 'user', content: prompt }], answer }],
        every: null,
        cacheSalt: '',
        fields: { rewards: '--reward', items: '--prompts' }
      }, never)
      return items[0]!.score.value
    }
  }
}

/** What each prompt gave, those of earlier runs included. */
async function recorded (
  served: LocalModel, measured: Measured, args: Arguments, part: Part<any>
): Promise<Recorded[]> {
  const prompts = loadPrompts(args.text('prompts')).slice(0, args.integer('count'))
  const { rewards, maxTokens, seed } = measured
  const records = args.text('records') === ''
    ? null
    : Records.open<Recorded>(join(args.text('records'), `${args.text('part')}.jsonl`), {
      part: args.text('part'),
      model: served.model.fingerprint,
      rewards,
      version: served.rewards.find(({ name }) => name === args.text('reward'))?.version,
      maxTokens,
      seed
    })
  const rows: Recorded[] = []
  const progress = new Progress()
  // The first answer compiles and warms what the others use.
  await measured.ask('Say hello.', 1, null)
  for (const [index, prompt] of prompts.entries()) {
    progress.tell('prompts', index, prompts.length)
    const known = records?.rows.find(row => row.prompt === prompt)
    const row = known ?? { prompt, ...await part.record(measured, prompt) as object }
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
  return Number.isNaN(value.value) ? '–' : range(value, 3)
}

const linesTable = (lines: readonly Line[]): string =>
  tableOf(lines, Object.keys(lines[0]!).map((name): Column<Line> => [name, line => cell(line[name])]))

export const pageOf = ({ title, text, tables }: Figures, count: number, args: Arguments): string =>
  `${headOf(title, args.environment, null)}

${count} prompts of ${args.text('prompts')}, answers of at most ${args.text('max-tokens')} tokens at temperature 1; reward ${args.text('reward')}, weight ${args.text('weight')}, seed ${args.text('seed')}. In brackets: 95 % intervals over prompts (bootstrap).

${text}

${tables.map(({ lines }) => linesTable(lines)).join('\n\n')}
`

async function run (args: Arguments): Promise<void> {
  const part = parts[args.text('part')]
  if (!part) throw refuse('--part', `must be one of ${Object.keys(parts).join(', ')}`, args.text('part'))
  const served = await loadServedModel(loadConfig(), say)
  try {
    const measured = measuredOn(served, args, part.ignoreEos)
    const rows = await recorded(served, measured, args, part)
    const figures = part.report(rows, measured)
    const page = pageOf(figures, rows.length, args)
    console.log(page)
    if (args.text('out') !== '') {
      writePage(args.text('out'), args.text('part'), page,
        { environment: args.environment, model: served.model.fingerprint, prompts: rows.length, ...figures })
    }
  } finally {
    await served.close()
  }
}

await runProgram({
  command: 'node dist/studies/strategy-figures.js',
  usage: '--part PART [OPTIONS]',
  summary: 'Figures about strategies on a real model',
  options,
  run
})
