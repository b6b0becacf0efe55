/** `fairlead score`: scores given answers with a reward. */
import { RequestError } from '../errors.js'
import { halfPairIn, halfPairRule } from '../half-pairs.js'
import { InferenceClient } from '../serving/inference-client.js'
import type { ScoreRequest } from '../serving/calls.js'
import type { Score } from '../rewards/scorer.js'
import { refuse } from '../validation.js'
import { plainTable, readText, say, type Command } from './command.js'
import {
  choiceOption, engineConfigOf, engineOptions, integerOption, requiredOption, textOption, type Options, type Values
} from './options.js'

interface Job { readonly prompt: string, readonly answers: readonly string[] }

const options: Options = {
  reward: { type: 'string', help: 'name of the reward' },
  prompt: { type: 'string', help: 'the prompt' },
  answer: { type: 'string', help: 'an answer to score; repeatable', multiple: true },
  file: {
    type: 'string',
    help: 'JSON lines {"prompt", "answer"} or {"prompt", "chosen", "rejected"}, instead of --prompt and --answer'
  },
  member: { type: 'string', help: 'reward member: outcome (whole answers) or prefix', default: 'outcome' },
  every: { type: 'string', help: 'also score each answer after every N tokens, with the prefix member' },
  json: { type: 'boolean', help: 'print JSON lines' },
  ...engineOptions
}

function jobOf (line: string, where: string): Job {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(line) as Record<string, unknown>
  } catch (cause) {
    throw new RequestError('invalid_request', `${where} is not JSON: ${cause instanceof Error ? cause.message : ''}`,
      { cause })
  }
  if (halfPairIn(line, value) !== null) throw refuse(where, halfPairRule, value)
  const { prompt, answer, chosen, rejected } = value
  const answers = answer !== undefined ? [answer] : [chosen, rejected]
  if (typeof prompt !== 'string' || !answers.every(one => typeof one === 'string')) {
    throw refuse(where, 'must have string fields prompt and answer, or prompt, chosen and rejected', value)
  }
  return { prompt, answers }
}

function jobs (values: Values): Job[] {
  const file = textOption(values, 'file')
  if (file !== undefined) {
    return readText(file).split('\n').flatMap((line, index) =>
      line.trim() === '' ? [] : [jobOf(line, `${file}:${index + 1}`)])
  }
  const answers = values['answer'] as string[] | undefined
  if (!answers) throw new RequestError('invalid_request', '--answer or --file is required', { param: 'answer' })
  return [{ prompt: requiredOption(values, 'prompt'), answers }]
}

/** Which member scores, and how often. */
function howOf (values: Values): Pick<ScoreRequest, 'member' | 'every'> {
  const every = values['every'] === undefined ? null : integerOption(values, 'every', 1)
  const member = choiceOption(values, 'member', ['outcome', 'prefix'], every === null ? 'outcome' : 'prefix')
  if (every !== null && member === 'outcome') throw refuse('--every', 'requires the prefix member', every)
  return { member, every }
}

export const score: Command = {
  usage: '--reward NAME --prompt "…" --answer "…" [--answer "…"]',
  options,
  maxPositionals: 0,
  async run (values) {
    const reward = requiredOption(values, 'reward')
    const how = howOf(values)
    const work = jobs(values)
    const client = await InferenceClient.start(engineConfigOf(values), say)
    const warnings = new Set<string>()
    const table = plainTable(['raw', 'standardized', 'answer'])
    const print = (prompt: string, answer: string, score: Score): void => {
      const { raw, standardized } = score.rewards[reward]!
      if (values['json'] === true) console.log(JSON.stringify({ prompt, answer, raw, standardized }))
      else {
        table.push([raw.toFixed(4), standardized.toFixed(4),
          answer.length > 80 ? `${answer.slice(0, 79)}…` : answer])
      }
    }
    try {
      for (const { prompt, answers } of work) {
        const items = answers.map(answer => ({ messages: [{ role: 'user', content: prompt }], answer }))
        const scored = await client.call('score', {
          model: client.model.id,
          rewards: [{ name: reward, weight: 1 }],
          scale: 'standardized',
          ...how,
          items,
          cacheSalt: '',
          fields: { rewards: '--reward', items: '--answer' }
        })
        for (const { message } of scored.warnings) warnings.add(message)
        for (const [index, answer] of answers.entries()) {
          const { prefixes, score } = scored.items[index]!
          if (how.every === null) print(prompt, answer, score)
          else {
            const characters = [...answer]
            for (const { end, score } of prefixes) print(prompt, characters.slice(0, end).join(''), score)
          }
        }
      }
    } finally {
      await client.close()
    }
    for (const message of warnings) say(`warning: ${message}`)
    if (values['json'] !== true) console.log(table.toString())
  }
}
