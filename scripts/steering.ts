/**
 * Does steering steer? For each strategy and each weight of a reward, answers 20 review prompts and compares the mean
 * standardised reward with plain sampling's, paired by prompt, and the share that an independent judge calls positive.
 *
 *   node dist/scripts/steering.js [--reward positive] [--seeds 1] [--max-tokens 48] [--judge FILE] [--json FILE]
 *
 * The reward of a plain answer is read by best_of_n with one candidate, whose tokens are those of plain sampling.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { loadConfig } from '../src/config.js'
import { parseAlignment } from '../src/decoding/parameters.js'
import type { DecodeResult } from '../src/decoding/runtime.js'
import { InferenceClient } from '../src/inference/client.js'
import { packageRoot } from '../src/package-root.js'
import { loadJudge } from '../models/rewards/make/judge.js'

const { values: options } = parseArgs({
  options: {
    reward: { type: 'string', default: 'positive' },
    seeds: { type: 'string', default: '1' },
    'max-tokens': { type: 'string', default: '48' },
    json: { type: 'string' }
  }
})
const prompts = JSON.parse(readFileSync(join(packageRoot, 'scripts/review-prompts.json'), 'utf8')) as string[]
const judge = loadJudge()

const strategies: Record<string, Record<string, unknown>> = {
  plain: { strategy: 'best_of_n', num_candidates: 1 },
  best_of_n: { strategy: 'best_of_n', num_candidates: 16 },
  speculative_rejection: { strategy: 'speculative_rejection', checkpoints: [8, 16, 32] },
  beam_search: { strategy: 'beam_search' },
  dvts: { strategy: 'dvts' },
  rebase: { strategy: 'rebase' },
  particle_filter: { strategy: 'particle_filter', num_particles: 16, strength: 5 },
  segment_rejection: { strategy: 'segment_rejection', segment: { tokens: 16 }, strength: 5 },
  token_guidance: { strategy: 'token_guidance', strength: 20 }
}

interface Answer { readonly text: string, readonly reward: number, readonly judged: number, readonly generatedTokens: number, readonly ms: number }

async function answer (client: InferenceClient, prompt: string, seed: number, strategy: Record<string, unknown>, weight: number): Promise<Answer> {
  const started = performance.now()
  let result: DecodeResult | undefined
  const events = client.generate({
    model: client.model.id,
    prompt: { messages: [{ role: 'user', content: prompt }], addGenerationPrompt: true, continueFinalMessage: false, truncate: false },
    promptLogprobs: null,
    bestOf: null,
    skipSpecialTokens: true,
    n: 1,
    seed,
    cacheSalt: '',
    alignment: parseAlignment({ ...strategy, rewards: [{ name: options.reward, weight }] }),
    sampling: {
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      frequencyPenalty: 0,
      presencePenalty: 0,
      repetitionPenalty: 1,
      logitBias: {},
      maxTokens: Number(options['max-tokens']),
      minTokens: 0,
      stop: [],
      stopTokenIds: [],
      ignoreEos: false,
      includeStop: false,
      topLogprobs: null
    }
  }, {})
  for await (const event of events) if (event.type === 'end') result = event.result
  const choice = result?.choices[0]
  const score = choice?.score?.rewards[options.reward]
  if (!result || !choice || !score) throw new Error('no scored answer')
  return { text: choice.text, reward: score.standardized, judged: judge.probability(choice.text), generatedTokens: result.generatedTokens, ms: performance.now() - started }
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** Standard error of the mean. */
function standardError (values: readonly number[]): number {
  const centre = mean(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1) / values.length)
}

const client = await InferenceClient.start(loadConfig(), message => { console.error(message) })
const seeds = Array.from({ length: Number(options.seeds) }, (_, index) => index + 1)
const table = new Table({ head: ['strategy', 'weight', 'reward', 'gain over plain', '± s.e.', 'judge: positive', 'judge gain', '± s.e.', 'tokens', 'ms'] })
const rows = []
/** Per prompt, over seeds. */
let plain: Array<{ reward: number, judged: number }> = []
for (const [name, strategy] of Object.entries(strategies)) {
  for (const weight of name === 'plain' ? [1] : [-1, 1]) {
    const perPrompt = []
    const answers: Answer[] = []
    for (const prompt of prompts) {
      const given = []
      for (const seed of seeds) given.push(await answer(client, prompt, seed, strategy, weight))
      answers.push(...given)
      perPrompt.push({ reward: mean(given.map(one => one.reward)), judged: mean(given.map(one => one.judged)) })
    }
    if (name === 'plain') plain = perPrompt
    const gains = perPrompt.map((one, index) => one.reward - plain[index]!.reward)
    const judgeGains = perPrompt.map((one, index) => one.judged - plain[index]!.judged)
    const row = {
      strategy: name,
      weight,
      reward: mean(perPrompt.map(one => one.reward)),
      gain: mean(gains),
      gainError: standardError(gains),
      judgedPositive: mean(answers.map(one => one.judged > 0.5 ? 1 : 0)),
      judgeGain: mean(judgeGains),
      judgeGainError: standardError(judgeGains),
      generatedTokens: mean(answers.map(one => one.generatedTokens)),
      ms: mean(answers.map(one => one.ms)),
      answers
    }
    rows.push(row)
    table.push([name, weight, row.reward.toFixed(2), row.gain.toFixed(2), row.gainError.toFixed(2), row.judgedPositive.toFixed(2), row.judgeGain.toFixed(3), row.judgeGainError.toFixed(3), row.generatedTokens.toFixed(0), row.ms.toFixed(0)])
    console.error(`${name} ${weight}: ${row.reward.toFixed(2)}`)
  }
}
console.log(table.toString())
if (options.json !== undefined) writeFileSync(options.json, JSON.stringify({ options, rows }, null, 1))
await client.close()
