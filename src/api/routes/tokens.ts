/** `POST /tokenize` and `POST /detokenize`, as vLLM has them. */
import type { FastifyInstance } from 'fastify'
import { documented } from '../openapi.js'
import { detokenizeObject, tokenizeObject } from '../schemas/responses.js'
import { detokenizeSchema, parseDetokenize, parseTokenize, tokenizeSchema } from '../schemas/tokens.js'
import type { Services } from '../services.js'

export function tokens (app: FastifyInstance, services: Services): void {
  app.post('/tokenize', documented('Text or messages to tokens', { body: tokenizeSchema, response: tokenizeObject }), async request => {
    const { withTexts, ...asked } = parseTokenize(request.body)
    const { tokens, texts } = await services.inference.call('tokenize', asked)
    return { count: tokens.length, max_model_len: services.inference.model.contextLength, tokens, ...(withTexts ? { token_strs: texts } : {}) }
  })
  app.post('/detokenize', documented('Tokens to text', { body: detokenizeSchema, response: detokenizeObject }), async request => ({
    prompt: await services.inference.call('detokenize', parseDetokenize(request.body))
  }))
}
