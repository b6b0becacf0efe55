/** `fairlead generate`: one prompt from the terminal, with its candidates and rewards as they finish. */
import Table from 'cli-table3'
import { loadConfig } from '../config.js'
import { parseAlignment } from '../decoding/parameters.js'
import type { DecodeEvent, DecodeResult } from '../decoding/runtime.js'
import { strategyFacts } from '../decoding/strategy-facts.js'
import { schemaOf, strategyNames, type AlignmentRequest } from '../decoding/strategy-schemas.js'
import { RequestError } from '../errors.js'
import { InferenceClient } from '../inference/client.js'
import type { GenerateRequest, GenerationEvent, Usage } from '../inference/protocol.js'
import { describeRule, refuse, type Rules } from '../validation.js'
import { say, type Command } from './command.js'
import { engineOptions, integerOption, settingFlags, type Options, type Values } from './options.js'

/** The parameters of all strategies, once each. */
const parameters: Readonly<Record<string, Rules & { readonly description?: string }>> = Object.assign({}, ...strategyNames.map(name => schemaOf(name).properties))

const flag = (parameter: string): string => parameter.replaceAll('_', '-')

/** A flag for every parameter that is one value; the others come with --alignment. */
const parameterOptions: Options = Object.fromEntries(Object.entries(parameters)
  .filter(([name, rules]) => rules.type !== 'array' && rules.type !== 'object' && !name.startsWith('return_'))
  .map(([name, rules]) => [flag(name), { type: rules.type === 'boolean' ? 'boolean' : 'string', help: `${rules.description}: ${describeRule(rules)}` }]))

const options: Options = {
  system: { type: 'string', help: 'system message' },
  strategy: { type: 'string', help: `one of ${strategyNames.join(', ')}; plain sampling without one` },
  reward: { type: 'string', help: 'name of the reward that steers; name:-1 gives a weight; may be repeated', multiple: true },
  ...parameterOptions,
  alignment: { type: 'string', help: 'the whole alignment object as JSON, in place of the flags above' },
  n: { type: 'string', help: 'choices returned', default: '1' },
  'max-tokens': { type: 'string', help: 'tokens of the answer, at most', default: '128' },
  temperature: { type: 'string', help: '0 to 2', default: '1' },
  'top-p-sampling': { type: 'string', help: 'nucleus, above 0 to 1', default: '1' },
  seed: { type: 'string', help: 'same seed, same tokens' },
  stop: { type: 'string', help: 'text that ends the answer; may be repeated', multiple: true },
  json: { type: 'boolean', help: 'print the result as JSON' },
  ...engineOptions
}

/** A flag's text as JSON would have it. */
function valueOf (rules: Rules, value: unknown): unknown {
  const numeric = rules.type === 'integer' || rules.type === 'number' || rules.anyOf?.some(one => one.type === 'integer' || one.type === 'number')
  return numeric && typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value)) ? Number(value) : value
}

function rewardOf (text: string): { name: string, weight: number } {
  const [name, weight] = text.split(':')
  return { name: name!, weight: weight === undefined ? 1 : Number(weight) }
}

function alignmentOf (values: Values): AlignmentRequest | null {
  const given = Object.keys(parameterOptions).filter(name => values[name] !== undefined)
  const rewards = (values['reward'] as string[] | undefined)?.map(rewardOf)
  if (typeof values['alignment'] === 'string') {
    if (given.length > 0 || rewards || values['strategy'] !== undefined) throw new RequestError('invalid_request', '--alignment cannot be given with --strategy, --reward or their parameters')
    return parseAlignment(parseJson(values['alignment']))
  }
  if (given.length === 0 && !rewards && values['strategy'] === undefined) return null
  const fields = given.map(name => [name.replaceAll('-', '_'), valueOf(parameters[name.replaceAll('-', '_')]!, values[name])])
  return parseAlignment({ ...Object.fromEntries(fields), ...(values['strategy'] === undefined ? {} : { strategy: values['strategy'] }), ...(rewards ? { rewards } : {}), return_progress: false })
}

function parseJson (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RequestError('invalid_request', `--alignment must be JSON: ${cause instanceof Error ? cause.message : 'it cannot be parsed'}`, { cause })
  }
}

function numberOption (values: Values, name: string, fallback: number, least: number, most: number): number {
  if (values[name] === undefined) return fallback
  const value = Number(values[name])
  if (!(value >= least && value <= most)) throw refuse(`--${name}`, `must be a number from ${least} to ${most}`, values[name])
  return value
}

function requestOf (values: Values, prompt: string, model: string): GenerateRequest {
  const system = typeof values['system'] === 'string' ? [{ role: 'system', content: values['system'] }] : []
  return {
    model,
    messages: [...system, { role: 'user', content: prompt }],
    n: integerOption(values, 'n', 1),
    seed: values['seed'] === undefined ? null : integerOption(values, 'seed', 0, 0),
    alignment: alignmentOf(values),
    cacheSalt: '',
    sampling: {
      temperature: numberOption(values, 'temperature', 1, 0, 2),
      topP: numberOption(values, 'top-p-sampling', 1, 1e-9, 1),
      topK: 0,
      minP: 0,
      frequencyPenalty: 0,
      presencePenalty: 0,
      repetitionPenalty: 1,
      logitBias: {},
      maxTokens: integerOption(values, 'max-tokens', 128),
      minTokens: 0,
      stop: (values['stop'] as string[] | undefined) ?? [],
      stopTokenIds: [],
      ignoreEos: false,
      topLogprobs: null
    }
  }
}

const oneLine = (text: string, length: number): string => {
  const flat = text.replaceAll(/\s+/g, ' ')
  return flat.length > length ? `${flat.slice(0, length - 1)}…` : flat
}

/** What a person sees while a search works. */
function show (event: DecodeEvent, choices: number): void {
  if (event.type === 'candidate') {
    const { index, text, score, prunedAt } = event.candidate
    say(`${String(index).padStart(3)}  ${(score?.value ?? NaN).toFixed(2).padStart(6)}  ${prunedAt === null ? '' : `(dropped at step ${prunedAt}) `}${oneLine(text, 100)}`)
  } else if (event.type === 'selection') say(`chosen: ${event.candidateIndices.join(', ')}\n`)
  else if (event.type === 'text') process.stdout.write(choices > 1 ? `[${event.choice}] ${event.text}\n` : event.text)
}

function ledger (result: DecodeResult, usage: Usage): string {
  const table = new Table({ style: { head: [], border: [] } })
  table.push(
    ['reward', result.choices.map(choice => choice.score?.value.toFixed(3) ?? '–').join(', ')],
    ['tokens generated / returned / discarded', `${usage.generatedTokens} / ${usage.returnedTokens} / ${usage.discardedTokens}`],
    ['prompt tokens / computed / cached', `${usage.promptTokens} / ${usage.computedPromptTokens} / ${usage.cachedTokens}`],
    ['reward tokens', usage.rewardTokens],
    ['forward passes', usage.forwardPasses],
    ['KL to the policy, nats', result.kl.value === null ? '–' : `${result.kl.value.toFixed(3)} (${result.kl.kind})`]
  )
  return table.toString()
}

async function follow (events: AsyncIterable<GenerationEvent>, quiet: boolean, choices: number): Promise<{ result: DecodeResult, usage: Usage }> {
  let result: DecodeResult | undefined
  let usage: Usage | undefined
  for await (const event of events) {
    if (event.type === 'end') result = event.result
    else if (event.type === 'usage') usage = event.usage
    else if (event.type !== 'start' && !quiet) show(event, choices)
  }
  return { result: result!, usage: usage! }
}

export const generate: Command = {
  name: 'generate',
  usage: '"PROMPT" [OPTIONS]',
  summary: 'answers one prompt, showing candidates and rewards as they finish',
  options,
  mostPositionals: Infinity,
  notes: () => strategyNames.map(name => `  ${name}: ${strategyFacts[name].summary}\n    ${strategyFacts[name].formula}\n    ${strategyFacts[name].source}`).join('\n'),
  async run (values, positionals) {
    const prompt = positionals.join(' ')
    if (prompt === '') throw new RequestError('invalid_request', 'a prompt is needed: fairlead generate "Write a short review of a film."')
    const config = loadConfig(settingFlags(values))
    const request = requestOf(values, prompt, '')
    const client = await InferenceClient.start(config, say)
    try {
      const json = values['json'] === true
      const { result, usage } = await follow(client.generate({ ...request, model: client.model.id }), json, request.n)
      if (json) console.log(JSON.stringify({ result, usage }, null, 2))
      else {
        process.stdout.write('\n')
        say(ledger(result, usage))
        for (const { message } of result.warnings) say(`warning: ${message}`)
      }
    } finally {
      await client.close()
    }
  }
}
