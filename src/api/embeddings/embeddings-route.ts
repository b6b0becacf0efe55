/** `POST /v1/embeddings`: pooled hidden states of the model. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { documented } from '../plugins/openapi.js'
import { listObject } from '../schemas/answer-schemas.js'
import { embeddingsBody, parseEmbeddings, type EmbeddingsBody } from '../tokens/token-schema.js'
import type { Services } from '../services.js'
import { callInference } from '../transport/inference-call.js'
import { sendList } from '../transport/list-json.js'

const embeddingList = Type.Object({
  ...listObject(Type.Object({
    object: Type.Literal('embedding'),
    index: Type.Integer(),
    embedding: Type.Union([Type.Array(Type.Number()), Type.String()])
  })).properties,
  model: Type.String(),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() })
})

const base64 = (vector: Float32Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')

export function embeddings (app: FastifyInstance, services: Services): void {
  app.post<{ Body: EmbeddingsBody }>('/v1/embeddings', documented('Embeds texts', {
    body: embeddingsBody, response: embeddingList
  }), async (request, reply) => {
    services.refuseIfDraining()
    const { asBase64, ...asked } = parseEmbeddings(request.body)
    const { embeddings, promptTokens } = await callInference(services, 'embed', asked, request, reply)
    return await sendList<Static<typeof embeddingList>>(reply, {
      object: 'list',
      data: embeddings.map((vector, index) => ({
        object: 'embedding', index, embedding: asBase64 ? base64(vector) : [...vector]
      })),
      model: asked.model,
      usage: { prompt_tokens: promptTokens, total_tokens: promptTokens }
    })
  })
}
