/** `fairlead eval`: measures the gain from steering by a reward, as scored by an independent judge. */
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import { criteria, judgeNames } from '../evaluation/criteria.js'
import { evaluate, type EvaluationOptions } from '../evaluation/evaluate.js'
import { loadPrompts, promptSetNames } from '../evaluation/prompt-sets.js'
import { writeEvaluation } from '../evaluation/report.js'
import { loadServedModel, type LocalModel } from '../serving/served-models.js'
import { environmentOf } from '../reporting/environment.js'
import { refuse } from '../validation.js'
import { say, type Command } from './command.js'
import { interruptible, partly } from './interruptible.js'
import { engineConfigOf, engineOptions, integerOption, type Options, type Values } from './options.js'

const options: Options = {
  reward: { type: 'string', help: 'reward to steer by', default: 'positive' },
  weight: { type: 'string', help: 'its weight; negative steers away from it', default: '-1 for positive, else 1' },
  prompts: {
    type: 'string',
    help: `${promptSetNames.join(', ')}, or a file: a JSON list or JSON lines of strings or {"prompt"}`,
    default: 'the set for the reward'
  },
  limit: {
    type: 'string',
    help: 'number of prompts (the first N of the set); 25 later ones train the over-optimisation study',
    default: '24'
  },
  candidates: { type: 'string', help: 'plain answers per prompt, 2 to 128; the largest n of best-of-n', default: '64' },
  seeds: { type: 'string', help: 'answers per prompt and strategy', default: '1' },
  'max-tokens': { type: 'string', help: 'maximum tokens per answer', default: '48' },
  judge: {
    type: 'string',
    help: `${judgeNames.join(', ')}, or another reward fitted on different data`,
    default: 'the judge for the reward'
  },
  wish: {
    type: 'string', help: 'system message of the prompted baseline', default: 'built-in for positive and helpful'
  },
  timed: {
    type: 'string',
    help: 'number of prompts on which every configuration is timed at the end, one request at a time, in turns; 0 ' +
      'for none',
    default: '8'
  },
  retime: { type: 'boolean', help: 're-run the timings (use an idle machine)' },
  'skip-panel': { type: 'boolean', help: 'skip the over-optimisation study' },
  out: {
    type: 'string',
    help: 'output directory for pools and runs (reused by later evaluations) and the report',
    default: 'fairlead-eval'
  },
  report: { type: 'string', help: 'output directory of the report', default: 'REWARD_WEIGHT in --out' },
  ...engineOptions
}

function weightOf (values: Values, reward: string): number {
  const given = values['weight']
  if (given === undefined) return reward === 'positive' ? -1 : 1
  const weight = Number(given)
  if (given === '' || !Number.isFinite(weight) ||
      weight === 0) throw refuse('--weight', 'must be a nonzero number', given)
  return weight
}

function textOption (values: Values, name: string, fallback: string | undefined, missing: string): string {
  const text = values[name] ?? fallback
  if (typeof text !== 'string' ||
      text === '') throw new RequestError('invalid_request', `--${name} is required: ${missing}`, { param: name })
  return text
}

/** How much is drawn: the options of both evaluations. @param prompts how many there are, and what they are called */
export function sizesOf (
  values: Values, prompts: { readonly count: number, readonly name: string },
  fallback: { readonly limit: number, readonly candidates: number, readonly timed: number }
): Pick<EvaluationOptions, 'limit' | 'candidates' | 'maxTokens' | 'timed' | 'retime'> {
  const candidates = integerOption(values, 'candidates', fallback.candidates, 2)
  if (candidates > 128) throw refuse('--candidates', 'must be an integer from 2 to 128', values['candidates'])
  const limit = integerOption(values, 'limit', Math.min(fallback.limit, prompts.count))
  if (limit > prompts.count) {
    throw refuse('--limit', `must be at most ${prompts.count}, the number of prompts in ${prompts.name}`,
      values['limit'])
  }
  const timed = integerOption(values, 'timed', Math.min(fallback.timed, limit), 0)
  if (timed > limit) throw refuse('--timed', `must be at most --limit, ${limit}`, values['timed'])
  return {
    limit, candidates, maxTokens: integerOption(values, 'max-tokens', 48), timed, retime: values['retime'] === true
  }
}

function optionsOf (values: Values): EvaluationOptions & { readonly promptSet: string, readonly report: string } {
  const reward = String(values['reward'] ?? 'positive')
  const weight = weightOf(values, reward)
  const own = criteria[reward]
  const promptSet = textOption(values, 'prompts', own?.prompts,
    `${reward} has no default prompt set; available: ${promptSetNames.join(', ')}`)
  const judge = textOption(values, 'judge', own?.judge,
    `${reward} has no default judge; choose one (${judgeNames.join(', ')}) or another reward`)
  if (judge === reward) throw refuse('--judge', 'must differ from the reward it judges', judge)
  const wish = values['wish'] ?? (weight < 0 ? own?.wish.less : own?.wish.more) ?? null
  const prompts = loadPrompts(promptSet)
  const folder = String(values['out'] ?? 'fairlead-eval')
  return {
    reward,
    weight,
    judge,
    wish: wish === null ? null : String(wish),
    promptSet,
    prompts,
    ...sizesOf(values, { count: prompts.length, name: promptSet }, { limit: 24, candidates: 64, timed: 8 }),
    seeds: integerOption(values, 'seeds', 1),
    panel: values['skip-panel'] !== true,
    folder,
    report: String(values['report'] ?? join(folder, `${reward}_${weight}`))
  }
}

/** Runs the evaluation and writes a report of what was done by the time it ended or was interrupted. */
async function run (served: LocalModel, given: ReturnType<typeof optionsOf>, args: readonly string[]): Promise<void> {
  const environment = environmentOf('fairlead eval', args)
  const evaluation = await interruptible((signal, onProgress) => evaluate(served, given, signal, onProgress))
  const { prompts: _, folder: __, report, retime: ___, ...evaluated } = given
  const { version: rewardVersion, descriptor } = served.rewards.find(({ name }) => name === given.reward)!
  const rewardFacts = descriptor.kind === 'head' && descriptor.fit
    ? {
        data: descriptor.fit.data,
        reads: `the policy’s hidden states at layer ${descriptor.layer}, their running mean over the answer`
      }
    : null
  const file = await writeEvaluation(report, evaluation,
    { ...evaluated, fingerprint: served.model.fingerprint, rewardVersion, rewardFacts }, environment)
  if (!evaluation.finished) say(partly)
  console.log(file)
}

export const evaluation: Command = {
  usage: '[--reward NAME] [--prompts SET|FILE] [OPTIONS]',
  options,
  maxPositionals: 0,
  async run (values) {
    const given = optionsOf(values)
    const served = await loadServedModel(engineConfigOf(values), say)
    try {
      await run(served, given, process.argv.slice(3))
    } finally {
      await served.close()
    }
  }
}
