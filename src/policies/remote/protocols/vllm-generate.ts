/**
 * vLLM's `/inference/v1/generate` (with `--enable-scale-out` or `--tokens-only`): token ids in and out, ids of
 * alternatives as numbers, no prompt sent back.
 */
import type { EngineChunk, EngineProtocol, EngineToken } from '../engine-call.js'
import { fieldsOf, listOf, logprobOf, textOf, tokenOf, wrong } from '../fields.js'
import { openaiUsage } from './openai-usage.js'
import { pluginArguments, vllmSampling } from './vllm-sampling.js'

/** The tokens of one choice, each with its logprob. */
function tokensOf (choice: Readonly<Record<string, unknown>>): EngineToken[] {
  const ids = listOf(choice['token_ids'], 'token_ids')
  if (ids.length === 0) return []
  const rated = listOf(fieldsOf(choice['logprobs'], 'logprobs')['content'], 'logprobs.content')
  if (rated.length !== ids.length) throw wrong(`${ids.length} logprobs for as many tokens`, rated.length)
  return ids.map((id, index) => {
    const { token_id: rate, logprob, top_logprobs: top } = fieldsOf(rated[index], 'logprobs.content[]')
    const token = tokenOf(id, 'token_ids[]')
    if (rate !== token) throw wrong(`the logprob of token ${token}`, rate)
    const alternatives = listOf(top, 'top_logprobs').map(one => {
      const { token_id: other, logprob: value } = fieldsOf(one, 'top_logprobs[]')
      return { token: tokenOf(other, 'token_id'), logprob: logprobOf(value, 'logprob') }
    })
    return { token, logprob: logprobOf(logprob, 'logprob'), top: alternatives }
  })
}

export const vllmGenerate: EngineProtocol = {
  name: 'vLLM generate',
  path: '/inference/v1/generate',
  maxStops: Infinity,
  finished: ['stop', 'length'],
  differs: [],
  notes: [],
  unsent: null,
  peek: call => call,
  body: (call, model) => ({
    model,
    token_ids: call.tokens,
    stream: true,
    stream_options: { include_usage: true },
    ...(call.salt === '' ? {} : { cache_salt: call.salt }),
    sampling_params: {
      ...vllmSampling(call),
      ...(call.guidance === null ? {} : { extra_args: pluginArguments(call.guidance) }),
      logprobs: call.heads?.tokens.length ?? call.alternatives,
      detokenize: call.stops.length > 0
    }
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
