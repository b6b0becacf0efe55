/**
 * `GET /v1/models` and `/v1/models/:id`. Profiles are listed as models, for clients that can send a model's name only.
 */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { anyObject } from '../../checker.js'
import { unknownModel } from '../../serving/model-names.js'
import { documented } from '../plugins/openapi.js'
import { listOf, orNull } from '../alignment/alignment-types.js'
import { listObject } from '../schemas/answer-schemas.js'
import type { Services } from '../services.js'
import { engineObject, engineOf } from './engine-object.js'

const modelObject = Type.Object({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Integer(),
  owned_by: Type.String(),
  max_model_len: Type.Integer(),
  engine: Type.Optional(engineObject),
  parent: Type.Optional(Type.String({ description: 'of a profile: the model it is of' })),
  description: Type.Optional(Type.String()),
  alignment: Type.Optional(anyObject()),
  overridable: Type.Optional(orNull(listOf(Type.String()), 'fields that a request may set; null is every one')),
  default: Type.Optional(Type.Boolean({ description: 'whether requests get it that name none' }))
})
const modelList = listObject(modelObject)
type Model = Static<typeof modelObject>

export function models (app: FastifyInstance, services: Services): void {
  const all = (): Model[] => services.inference.models.flatMap(({ id, created, contextLength, engine }) => {
    const model = {
      id,
      object: 'model',
      created,
      owned_by: 'fairlead',
      max_model_len: contextLength,
      ...(engine ? { engine: engineOf(engine) } : {})
    } as const
    const profiles = services.profiles.of(id).map(({ name, description, alignment, overridable, isDefault }) => ({
      ...model, id: `${id}:${name}`, parent: id, description, alignment, overridable, default: isDefault
    }))
    return [model, ...profiles]
  })
  app.get('/v1/models', documented('Lists the models and profiles', { response: modelList }),
    (): Static<typeof modelList> => ({ object: 'list', data: all() }))
  app.get<{ Params: { id: string } }>('/v1/models/:id', documented('One model or profile',
    { response: modelObject, params: Type.Object({ id: Type.String() }) }), request => {
    const found = all().find(({ id }) => id === request.params.id)
    if (!found) throw unknownModel(request.params.id, all().map(({ id }) => id))
    return found
  })
}
