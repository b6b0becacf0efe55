/** Pools of the policy's own answers, judged and read, and noisy pairs of them. */
import { join } from 'node:path'
import { say } from '../src/cli/command.js'
import { loadConfig } from '../src/config.js'
import { AnswerStore } from '../src/evaluation/answer-store.js'
import { loadJudge } from '../src/evaluation/criteria.js'
import { messagesOf, type SamplingRun, type Configuration } from '../src/evaluation/sampling-runs.js'
import { flipped, trainingAnswers, trainingPrompts } from '../src/evaluation/over-optimisation.js'
import { standardized } from '../src/evaluation/pools.js'
import { loadPrompts } from '../src/evaluation/prompt-sets.js'
import { plainPool } from '../src/evaluation/configurations.js'
import type { Sample } from '../src/fitting/examples.js'
import type { PrefixStates } from '../src/fitting/features.js'
import type { HeadFit } from '../src/fitting/fit-head.js'
import type { StateSet } from '../src/fitting/held-out-figures.js'
import { linearScore } from '../src/rewards/kinds/head.js'
import { readablePolicy } from '../src/rewards/readable-policy.js'
import { loadServedModel, type LocalModel } from '../src/serving/served-models.js'
import type { Arguments } from '../tools/program.js'
import { statesOf } from './setup.js'

const maxTokens = 48

/** Answers to one prompt: what the judge says of each, and its state. */
export interface Pool {
  readonly prompt: string
  readonly judge: readonly number[]
  readonly states: readonly PrefixStates[]
  readonly lengths: readonly number[]
  readonly texts: readonly string[]
}

/** Draws pools that are not there, and reads them. */
async function poolsOf (
  served: LocalModel, args: Arguments, prompts: readonly string[], configuration: Configuration
): Promise<Pool[]> {
  const store = new AnswerStore(served, args.text('out'), maxTokens)
  const drawn: SamplingRun[] = []
  for (const prompt of prompts) {
    say(`${configuration.name} ${drawn.length}/${prompts.length}`)
    drawn.push(await store.draw(configuration, prompt, 0, new AbortController().signal))
  }
  const judge = loadJudge(args.text('judge'))
  const sign = args.number('weight') < 0 ? -1 : 1
  const how =
    { layer: Math.round(served.model.config.layers / 2), cacheDirectory: join(served.config.cacheDir, 'features') }
  const pools: Pool[] = []
  for (const { prompt, answers } of drawn) {
    const texts = answers.map(({ text }) => text).filter(text => text.trim() !== '')
    const read = texts.map(text => ({ messages: messagesOf(prompt), text }))
    const states = await statesOf(readablePolicy(served), read, how)
    pools.push({ prompt, texts, judge: texts.map(text => sign * judge.score(text)), ...states })
  }
  return pools
}

export async function readPools (args: Arguments): Promise<{ pools: Pool[], training: Pool[] }> {
  const served = await loadServedModel(loadConfig({ model: args.text('model'), threads: args.text('threads') }), say)
  try {
    const [prompts, limit] = [loadPrompts(args.text('prompts')), args.integer('limit')]
    const unseen: Configuration = { name: 'training', system: null, alignment: null, answers: trainingAnswers }
    return {
      pools: await poolsOf(served, args, prompts.slice(0, limit), plainPool(args.integer('candidates'))),
      training: await poolsOf(served, args, prompts.slice(limit, limit + trainingPrompts), unseen)
    }
  } finally {
    await served.close()
  }
}

/**
 * A draw's pairs: as many of each prompt, at random, the better one by the judge first but for those that are turned
 * round.
 * @param pairs how many, of all prompts together
 */
export function noisySet (training: readonly Pool[], pairs: number, random: () => number): StateSet {
  const samples: Sample[] = []
  let first = 0
  for (const { prompt, judge } of training) {
    const left =
      judge.flatMap((one, a) => judge.slice(0, a).flatMap((other, b) => one === other ? [] : [[a, b] as const]))
    for (let taken = 0; taken < pairs / training.length && left.length > 0; taken++) {
      const [a, b] = left.splice(Math.floor(random() * left.length), 1)[0]!
      const label = (judge[a]! > judge[b]!) === (random() >= flipped) ? 1 : -1
      samples.push({ answer: first + a, against: first + b, label, group: prompt })
    }
    first += judge.length
  }
  return {
    kind: 'pairs',
    answers: training.flatMap(({ texts }) => texts.map(text => ({ messages: [], text }))),
    samples,
    states: training.flatMap(({ states }) => states),
    lengths: training.flatMap(({ lengths }) => lengths)
  }
}

/** Scores of the pools by a head, standardised over them all. */
export const scored = ({ weights, bias }: HeadFit['head'], pools: readonly Pool[]): number[][] =>
  standardized(pools.map(({ states }) => states.map(state => linearScore(weights, bias, state.at(-1)!))))
