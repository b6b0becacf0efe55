/**
 * llama.cpp's server: its own `/completion`, which takes token ids and tells ids and raw logprobs. A stream of it
 * leaves out the pieces of a character, though it counts them; an answer in one message has their ids, without
 * logprobs.
 */
import type { EngineCall, EngineChunk, EngineProtocol, EngineToken } from '../engine-call.js'
import { countOf, fieldsOf, listOf, logprobOf, textOf, tokenOf, wrong, type Fields } from '../fields.js'

/** Seeds are 32 bits, the largest of which is none. */
const seeds = 2 ** 32 - 1

/**
 * A parser of chats that reads nothing and is content. Its own, which sees these answers, too, fails at bytes that are
 * no UTF-8: what goes on in the middle of a character.
 */
const noParser = JSON.stringify({ parsers: [{ type: 'epsilon' }], rules: {}, root: 0 })

/** As much as no logit is. */
const certain = 1e6

const ids = (message: Fields): number[] => listOf(message['tokens'], 'tokens').map(id => tokenOf(id, 'tokens[]'))

/** The tokens of a message that it tells logprobs of. */
function ratedTokens (message: Fields): EngineToken[] {
  return listOf(message['completion_probabilities'], 'completion_probabilities').map(one => {
    const { id, logprob, top_logprobs: top } = fieldsOf(one, 'completion_probabilities[]')
    return {
      token: tokenOf(id, 'id'),
      logprob: logprobOf(logprob, 'logprob'),
      top: listOf(top, 'top_logprobs').map(other => {
        const fields = fieldsOf(other, 'top_logprobs[]')
        return { token: tokenOf(fields['id'], 'id'), logprob: logprobOf(fields['logprob'], 'logprob') }
      })
    }
  })
}

function read (message: unknown): EngineChunk {
  const fields = fieldsOf(message, 'a message')
  const tokens = ratedTokens(fields)
  const count = countOf(fields['tokens_predicted'], 'tokens_predicted')
  if (count === null) throw wrong('a count as tokens_predicted', count)
  if (fields['stop'] !== true) {
    if (ids(fields).join() !== tokens.map(({ token }) => token).join()) {
      throw wrong('a logprob for each token', fields['completion_probabilities'])
    }
    return { tokens, count, finish: null, usage: null }
  }
  const cached = fieldsOf(fields['timings'] ?? {}, 'timings')['cache_n']
  return {
    tokens,
    count,
    finish: textOf(fields['stop_type'], 'stop_type'),
    usage: {
      promptTokens: countOf(fields['tokens_evaluated'], 'tokens_evaluated') ?? 0,
      cachedTokens: countOf(cached, 'cache_n')
    }
  }
}

function body (
  { tokens, maxTokens, sampling, seed, stops, alternatives, structure, salt }: EngineCall, model: string
): Record<string, unknown> {
  const { temperature, topP, topK, minP, frequencyPenalty, presencePenalty, repetitionPenalty, logitBias } = sampling
  return {
    model,
    prompt: tokens,
    stream: true,
    return_tokens: true,
    chat_parser: noParser,
    // Logprobs of drawn tokens come with those of others only.
    n_probs: Math.max(1, alternatives),
    n_predict: maxTokens,
    // Its cache knows no salts.
    cache_prompt: salt === '',
    seed: seed % seeds,
    temperature,
    // In the order of this server's filters, and none that it has by default.
    samplers: ['penalties', 'temperature', 'min_p', 'top_k', 'top_p'],
    top_k: topK,
    top_p: topP,
    min_p: minP,
    repeat_penalty: repetitionPenalty,
    // All: prompt, answer so far and what is drawn.
    repeat_last_n: tokens.length + maxTokens,
    frequency_penalty: frequencyPenalty,
    presence_penalty: presencePenalty,
    ...(stops.length > 0 ? { stop: stops } : {}),
    ...(Object.keys(logitBias).length > 0
      ? { logit_bias: Object.entries(logitBias).map(([token, bias]) => [Number(token), bias]) }
      : {}),
    ...(structure === null
      ? {}
      : structure.type === 'json'
        ? { json_schema: JSON.parse(structure.schema) as unknown }
        : { grammar: structure.text })
  }
}

/** @param plain a token that is text by itself */
export const llamaServer = (plain: number): EngineProtocol => ({
  name: 'llama.cpp completion',
  path: '/completion',
  maxStops: Infinity,
  finished: ['eos', 'limit', 'word'],
  // It counts the tokens of the prompt, too.
  differs: ['frequency_penalty', 'presence_penalty'],
  notes: ['its cache knows no salts: calls with one (of an API key, or cache_salt) do not use it'],
  body,
  reader: () => read,
  unsent: {
    whole: (call, model) => ({ ...body(call, model), stream: false }),
    ids: message => ids(fieldsOf(message, 'an answer'))
  },
  // What is drawn must be text, for next tokens to be told.
  peek: call => ({
    ...call,
    maxTokens: 1,
    sampling: { ...call.sampling, temperature: 0, logitBias: { [plain]: certain } }
  })
})
