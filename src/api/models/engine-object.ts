/** What is told of an inference engine elsewhere. */
import { Type, type Static } from 'typebox'
import type { ModelInfo } from '../../serving/protocol.js'
import { listOf } from '../alignment/alignment-types.js'

export const engineObject = Type.Object({
  server: Type.String({ description: 'name and version, as far as it says' }),
  protocol: Type.String({ description: 'how it is spoken to' }),
  model: Type.String({ description: 'what it calls the model' }),
  replicas: Type.Integer(),
  top_logprobs: Type.Integer({ description: 'alternatives that it reports per token, at most' }),
  fields: listOf(Type.String(), 'fields of requests that have an effect there'),
  ignored_fields: listOf(Type.String(), 'fields that have none'),
  heads: listOf(Type.String(), 'rewards that it computes beside the model'),
  guiding_heads: listOf(Type.String(), 'those of them by whose next_token members it guides tokens'),
  counts_cached_tokens: Type.Boolean({ description: 'whether it says how much of a prompt its cache had' }),
  notes: listOf(Type.String(), 'what could not be found out, or is done in another way')
})

export function engineOf (
  {
    server, protocol, model, urls, alternatives, fields, ignored, countsCachedTokens, heads, guidingHeads, notes
  }: NonNullable<ModelInfo['engine']>
): Static<typeof engineObject> {
  return {
    server,
    protocol,
    model,
    replicas: urls.length,
    top_logprobs: alternatives,
    fields,
    ignored_fields: ignored,
    heads,
    guiding_heads: guidingHeads,
    counts_cached_tokens: countsCachedTokens,
    notes
  }
}
