/**
 * OpenAI's `/v1/completions` as vLLM and others extend it: `return_token_ids` gives the tokens as they were drawn, and
 * `return_tokens_as_token_ids` the ids of alternatives.
 */
import type { EngineChunk, EngineProtocol, EngineToken } from '../engine-call.js'
import { fieldsOf, listOf, logprobOf, textOf, tokenOf, wrong } from '../fields.js'
import { openaiUsage } from './openai-usage.js'
import { pluginArguments, vllmSampling } from './vllm-sampling.js'

/** @throws Error for a text that names no token id */
function namedToken (text: string): number {
  const [, id] = /^token_id:(\d+)$/.exec(text) ?? []
  if (id === undefined) throw wrong('alternatives as token_id:N (return_tokens_as_token_ids)', text)
  return tokenOf(Number(id), 'top_logprobs')
}

function tokensOf (choice: Readonly<Record<string, unknown>>): EngineToken[] {
  const ids = listOf(choice['token_ids'], 'token_ids')
  if (ids.length === 0) {
    if (choice['text'] !== '' && choice['text'] !== undefined && choice['token_ids'] === undefined) {
      throw wrong('token_ids with its text (return_token_ids)', choice['text'])
    }
    return []
  }
  const { token_logprobs: rates, top_logprobs: tops } = fieldsOf(choice['logprobs'], 'logprobs')
  const [logprobs, alternatives] = [listOf(rates, 'token_logprobs'), listOf(tops, 'top_logprobs')]
  if (logprobs.length !== ids.length) throw wrong(`${ids.length} logprobs for as many tokens`, logprobs.length)
  return ids.map((id, index) => ({
    token: tokenOf(id, 'token_ids[]'),
    logprob: logprobOf(logprobs[index], 'token_logprobs[]'),
    top: Object.entries(fieldsOf(alternatives[index] ?? {}, 'top_logprobs[]')).map(([text, value]) =>
      ({ token: namedToken(text), logprob: logprobOf(value, 'top_logprobs[]') }))
  }))
}

export const completions: EngineProtocol = {
  name: 'completions',
  path: '/v1/completions',
  // vLLM takes four unless it is told otherwise.
  maxStops: 4,
  finished: ['stop', 'length'],
  differs: [],
  notes: [],
  unsent: null,
  peek: call => call,
  body: (call, model) => ({
    model,
    prompt: call.tokens,
    n: 1,
    stream: true,
    stream_options: { include_usage: true },
    ...(call.salt === '' ? {} : { cache_salt: call.salt }),
    ...vllmSampling(call),
    ...(call.guidance === null ? {} : { vllm_xargs: pluginArguments(call.guidance) }),
    logprobs: call.heads ? 1 : call.alternatives,
    return_token_ids: true,
    return_tokens_as_token_ids: true
  }),
  reader: () => (message): EngineChunk => {
    const { choices, usage } = fieldsOf(message, 'a message')
    const [choice] = listOf(choices, 'choices')
    if (choice === undefined) return { tokens: [], finish: null, usage: openaiUsage(usage) }
    const fields = fieldsOf(choice, 'choices[0]')
    return {
      tokens: tokensOf(fields),
      finish: textOf(fields['finish_reason'], 'finish_reason'),
      usage: openaiUsage(usage)
    }
  }
}
