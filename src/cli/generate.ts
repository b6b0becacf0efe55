/** `fairlead generate`: one prompt from the terminal, with its candidates and rewards as they finish. */
import { minTemperature, plainSampling } from '../policies/sampling-params.js'
import { parseAlignment } from '../decoding/strategies/parse-alignment.js'
import { fingerprintOf } from '../api/generation/generation-state.js'
import { headOf, withHead } from '../api/generation/run-head.js'
import type { DecodeEvent } from '../decoding/events.js'
import type { DecodeResult } from '../decoding/result.js'
import { strategyFacts } from '../decoding/strategies/strategy-facts.js'
import { schemaOf, strategyNames, type AlignmentRequest } from '../decoding/strategies/strategy-schemas.js'
import { RequestError } from '../errors.js'
import type { Head } from '../journal/entries.js'
import { Folding } from '../journal/fold.js'
import { figure, oneLine, stepLine, treeText } from '../journal/text.js'
import { InferenceClient } from '../serving/inference-client.js'
import type { DraftRequest, GenerateRequest, GenerationEvent, JournalRequest, Usage } from '../serving/protocol.js'
import { checkedRequest } from '../serving/request-rules.js'
import { describeRule, type Rules } from '../validation.js'
import { plainTable, readText, say, type Command } from './command.js'
import {
  engineConfigOf, engineOptions, integerOption, numberOption, textOption, type Options, type Values
} from './options.js'
import { JournalFile } from './journal-file.js'

/** The parameters of all strategies, once each. */
const parameters: Readonly<Record<string, Rules & { readonly description?: string }>> = Object.assign({},
  ...strategyNames.map(name => schemaOf(name).properties))

const flag = (parameter: string): string => parameter.replaceAll('_', '-')

/** A flag for every parameter; lists and objects are JSON. */
const parameterOptions: Options = Object.fromEntries(Object.entries(parameters)
  .filter(([name]) => name !== 'rewards' && !name.startsWith('return_'))
  .map(([name, rules]) => [flag(name),
    { type: rules.type === 'boolean' ? 'boolean' : 'string', help: `${rules.description}: ${describeRule(rules)}` }]))

const options: Options = {
  system: { type: 'string', help: 'system message' },
  strategy: { type: 'string', help: `one of ${strategyNames.join(', ')}; default: plain sampling` },
  reward: {
    type: 'string', help: 'reward to steer by, as name or name:weight (positive:-1); repeatable', multiple: true
  },
  ...parameterOptions,
  alignment: { type: 'string', help: 'the complete alignment object as JSON, instead of the flags above' },
  n: { type: 'string', help: 'number of choices', default: '1' },
  'max-tokens': { type: 'string', help: 'maximum tokens to generate', default: '128' },
  temperature: {
    type: 'string',
    help: `sampling temperature, 0 to 2; 0 is greedy, values below ${minTemperature} count as 0`,
    default: '1'
  },
  'top-p-sampling': { type: 'string', help: 'nucleus sampling (top_p), 0 to 1; 0 is greedy', default: '1' },
  seed: { type: 'string', help: 'random seed, for reproducible output' },
  stop: { type: 'string', help: 'stop sequence; repeatable', multiple: true },
  'json-schema': { type: 'string', help: 'file with a JSON Schema that the answer must match' },
  'prompt-lookup': {
    type: 'boolean', help: 'speculative decoding by prompt lookup: draft tokens from the prompt and the answer so far'
  },
  trace: { type: 'boolean', help: 'show the search: its steps and the tree of candidates' },
  journal: {
    type: 'string',
    help: 'file for the journal of the run, see fairlead inspect; guided tokens are listed with 5 alternatives'
  },
  json: { type: 'boolean', help: 'print the result as JSON' },
  ...engineOptions
}

/** A flag's text as JSON would have it. */
function valueOf (name: string, rules: Rules, value: unknown): unknown {
  if (typeof value === 'string' && /^\s*[[{]/.test(value)) return parseJson(name, value)
  const numeric = rules.type === 'integer' || rules.type === 'number' ||
    rules.anyOf?.some(one => one.type === 'integer' || one.type === 'number')
  return numeric && typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))
    ? Number(value)
    : value
}

function rewardOf (text: string): { name: string, weight: number } {
  const [name, weight] = text.split(':')
  return { name: name!, weight: weight === undefined ? 1 : Number(weight) }
}

function alignmentOf (values: Values): AlignmentRequest | null {
  const given = Object.keys(parameterOptions).filter(name => values[name] !== undefined)
  const rewards = (values['reward'] as string[] | undefined)?.map(rewardOf)
  if (typeof values['alignment'] === 'string') {
    if (given.length > 0 || rewards || values['strategy'] !== undefined) {
      throw new RequestError('invalid_request',
        '--alignment cannot be combined with --strategy, --reward or their parameters')
    }
    return parseAlignment(parseJson('--alignment', values['alignment']))
  }
  if (given.length === 0 && !rewards && values['strategy'] === undefined) return null
  const fields = given.map(name =>
    [name.replaceAll('-', '_'), valueOf(`--${name}`, parameters[name.replaceAll('-', '_')]!, values[name])])
  return parseAlignment({
    ...Object.fromEntries(fields),
    ...(values['strategy'] === undefined ? {} : { strategy: values['strategy'] }),
    ...(rewards ? { rewards } : {})
  })
}

function parseJson (option: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RequestError('invalid_request',
      `${option} must be JSON: ${cause instanceof Error ? cause.message : 'it cannot be parsed'}`, { cause })
  }
}

/** A file's JSON, as it is. */
function readSchema (path: string): string {
  const text = readText(path)
  parseJson(`--json-schema: ${path}`, text)
  return text
}

function draftsOf (values: Values, alignment: AlignmentRequest | null): DraftRequest | null {
  if (values['prompt-lookup'] !== true) return null
  if (alignment || integerOption(values, 'n', 1) > 1) {
    throw new RequestError('invalid_request',
      '--prompt-lookup supports a single plain answer only: it cannot be combined with --n above 1 or a strategy')
  }
  return { prediction: '' }
}

function requestOf (values: Values, prompt: string, model: string): GenerateRequest {
  const alignment = alignmentOf(values)
  const system = textOption(values, 'system')
  return checkedRequest({
    model,
    prompt: {
      messages: [
        ...(system === undefined ? [] : [{ role: 'system', content: system }]), { role: 'user', content: prompt }
      ],
      addGenerationPrompt: true,
      continueFinalMessage: false,
      truncate: false
    },
    promptLogprobs: null,
    bestOf: null,
    skipSpecialTokens: true,
    n: integerOption(values, 'n', 1),
    seed: values['seed'] === undefined ? null : integerOption(values, 'seed', 0, -(2 ** 63)),
    alignment,
    journal: journalOf(values),
    cacheSalt: '',
    drafts: draftsOf(values, alignment),
    grammar: values['json-schema'] === undefined
      ? null
      : {
          source: { type: 'schema', json: readSchema(values['json-schema'] as string), path: '--json-schema' },
          param: '--json-schema'
        },
    sampling: {
      ...plainSampling,
      temperature: numberOption(values, 'temperature', 1, 0, 2),
      topP: numberOption(values, 'top-p-sampling', 1, 0, 1),
      maxTokens: integerOption(values, 'max-tokens', 128),
      stop: (values['stop'] as string[] | undefined) ?? []
    }
  })
}

/** What of the journal is wanted: all of it in a file, its steps and candidates to show them. */
function journalOf (values: Values): JournalRequest | null {
  if (values['journal'] !== undefined) return { alternatives: 5, pieces: true }
  return values['trace'] === true ? { alternatives: 0, pieces: false } : null
}

/** The body that asks the API for the same. */
function bodyOf ({ prompt, n, seed, alignment, sampling, grammar }: GenerateRequest, model: string): Head['request'] {
  return {
    model,
    messages: 'messages' in prompt ? prompt.messages : [],
    ...n > 1 && { n },
    ...seed !== null && { seed },
    ...alignment && { alignment },
    max_tokens: sampling.maxTokens,
    temperature: sampling.temperature,
    ...sampling.topP < 1 && { top_p: sampling.topP },
    ...sampling.stop.length > 0 && { stop: sampling.stop },
    ...grammar?.source.type === 'schema' && {
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: JSON.parse(grammar.source.json) } }
    }
  }
}

/** Shows a search while it runs. */
function show (event: DecodeEvent, choices: number): void {
  if (event.type === 'candidate') {
    const { index, text, score, prunedAt } = event.candidate
    say(`${String(index).padStart(3)}  ${figure(score?.value)}  ` +
      `${prunedAt === null ? '' : `(pruned at ${prunedAt}) `}${oneLine(text, 100)}`)
  } else if (event.type === 'selection') say(`chosen: ${event.candidateIndices.join(', ')}\n`)
  else if (event.type === 'text') process.stdout.write(choices > 1 ? `[${event.choice}] ${event.text}\n` : event.text)
}

/** The same with --trace: steps as they come, then the answers and the tree they were found in. */
function traceWatcher (): (event: DecodeEvent) => void {
  const folding = new Folding()
  return event => {
    if (event.type === 'choice-end') process.stdout.write(event.result.text)
    else if (event.type === 'end') say(`\n\n${treeText(folding.run)}`)
    else if (event.type === 'journal') {
      for (const entry of event.entries) {
        folding.add(entry)
        if ('step' in entry) say(stepLine(folding.run, folding.run.steps.at(-1)!))
      }
    }
  }
}

function ledger (result: DecodeResult, usage: Usage): string {
  const table = plainTable()
  table.push(
    ['reward', result.choices.map(choice => choice.score?.value.toFixed(3) ?? '–').join(', ')],
    ['tokens generated / returned / discarded',
      `${usage.generatedTokens} / ${usage.returnedTokens} / ${usage.discardedTokens}`],
    ['prompt tokens / computed / cached',
      `${usage.promptTokens} / ${usage.computedPromptTokens} / ${usage.cachedTokens}`],
    ['reward tokens', usage.rewardTokens],
    ['forward passes', usage.forwardPasses],
    ['KL from the policy, nats', result.kl.value === null ? '–' : `${result.kl.value.toFixed(3)} (${result.kl.kind})`],
    ...Object.entries(result.details).map(([name, value]) => [name, JSON.stringify(value)])
  )
  return table.toString()
}

async function follow (
  events: AsyncIterable<GenerationEvent>, watch: (event: DecodeEvent) => void
): Promise<{ result: DecodeResult, usage: Usage }> {
  let result: DecodeResult | undefined
  let usage: Usage | undefined
  for await (const event of events) {
    if (event.type === 'usage') usage = event.usage
    else if (event.type !== 'accepted' && event.type !== 'start' && event.type !== 'prompt') watch(event)
    if (event.type === 'end') result = event.result
  }
  return { result: result!, usage: usage! }
}

export const generate: Command = {
  usage: '"PROMPT" [OPTIONS]',
  options,
  maxPositionals: Infinity,
  notes: () => strategyNames.map(name => `  ${name}: ${strategyFacts[name].summary}\n    ` +
    `${strategyFacts[name].formula}\n    ${strategyFacts[name].source}`).join('\n'),
  async run (values, positionals) {
    const prompt = positionals.join(' ')
    if (prompt === '') {
      throw new RequestError('invalid_request',
        'a prompt is required: fairlead generate "Write a short review of a film."')
    }
    const config = engineConfigOf(values)
    const [json, trace] = [values['json'] === true, values['trace'] === true]
    if (json && trace) {
      throw new RequestError('invalid_request', '--trace cannot be combined with --json, which already lists every ' +
        'candidate',
      { param: 'trace' })
    }
    const request = requestOf(values, prompt, '')
    const file = values['journal'] === undefined ? null : new JournalFile(values['journal'] as string)
    const client = await InferenceClient.start(config, say)
    try {
      const { id: model, fingerprint } = client.model
      const events = client.generate({ ...request, model })
      const { drafts = null } = request
      const body = bodyOf(request, model)
      const head = headOf({ model, fingerprint: fingerprintOf({ fingerprint }, { drafts }), body })
      const { result, usage } = await follow(file ? file.keep(withHead(events, head)) : events,
        json ? () => {} : trace ? traceWatcher() : event => { show(event, request.n) })
      if (json) console.log(JSON.stringify({ result, usage }, null, 2))
      else {
        process.stdout.write('\n')
        say(ledger(result, usage))
        for (const { message } of result.warnings) say(`warning: ${message}`)
      }
    } finally {
      file?.close()
      await client.close()
    }
  }
}
