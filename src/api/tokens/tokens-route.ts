/** `POST /tokenize`, `POST /detokenize` and `GET /tokenizer_info`, as vLLM has them. */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { documented } from '../plugins/openapi.js'
import {
  detokenizeBody, detokenizeObject, parseDetokenize, parseTokenize, parseTokenizerQuery, tokenizeBody, tokenizeObject,
  tokenizerInfoObject, tokenizerQuery, type DetokenizeBody, type TokenizeBody, type TokenizerQuery
} from './token-schema.js'
import type { Services } from '../services.js'
import { callInference } from '../transport/inference-call.js'

export function tokens (app: FastifyInstance, services: Services): void {
  app.post<{ Body: TokenizeBody }>('/tokenize', documented('Text or messages to tokens',
    { body: tokenizeBody, response: tokenizeObject }), async (
    request, reply
  ): Promise<Static<typeof tokenizeObject>> => {
    const { model, prompt, withTexts } = parseTokenize(request.body, services.catalog)
    const { tokens, texts } = await callInference(services, 'tokenize', { model: model.id, prompt }, request, reply)
    return {
      count: tokens.length, max_model_len: model.contextLength, tokens, ...(withTexts ? { token_strs: texts } : {})
    }
  })
  app.get<{ Querystring: TokenizerQuery }>('/tokenizer_info', documented(
    'What programs that render prompts themselves need', { query: tokenizerQuery, response: tokenizerInfoObject }
  ), async (request, reply): Promise<Static<typeof tokenizerInfoObject>> => {
    const model = parseTokenizerQuery(request.query, services.catalog)
    const { beginToken, endToken, chatTemplate } =
      await callInference(services, 'tokenizerInfo', { model: model.id }, request, reply)
    return {
      bos_token: beginToken || null,
      eos_token: endToken || null,
      pad_token: null,
      model_max_length: model.contextLength,
      chat_template: chatTemplate
    }
  })
  app.post<{ Body: DetokenizeBody }>('/detokenize', documented('Tokens to text', {
    body: detokenizeBody, response: detokenizeObject
  }), async (request, reply): Promise<Static<typeof detokenizeObject>> => ({
    prompt:
      await callInference(services, 'detokenize', parseDetokenize(request.body, services.catalog), request, reply)
  }))
}
