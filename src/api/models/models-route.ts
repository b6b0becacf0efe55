/**
 * `GET /v1/models` and `/v1/models/:id`. Profiles are listed as models, for clients that can send a model's name only.
 */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { unknownModel } from '../../serving/model-names.js'
import { documented } from '../plugins/openapi.js'
import { modelList, modelObject } from '../schemas/answer-schemas.js'
import type { Services } from '../services.js'

export function models (app: FastifyInstance, services: Services): void {
  const all = (): Array<{ id: string }> => services.inference.models.flatMap(({ id, created, contextLength }) => {
    const model = { id, object: 'model', created, owned_by: 'fairlead', max_model_len: contextLength }
    const profiles = services.profiles.of(id).map(({ name, description, alignment, overridable, isDefault }) => ({
      ...model, id: `${id}:${name}`, parent: id, description, alignment, overridable, default: isDefault
    }))
    return [model, ...profiles]
  })
  app.get('/v1/models', documented('Lists the models and profiles', { response: modelList }),
    () => ({ object: 'list', data: all() }))
  app.get<{ Params: { id: string } }>('/v1/models/:id', documented('One model or profile',
    { response: modelObject, params: Type.Object({ id: Type.String() }) }), request => {
    const found = all().find(({ id }) => id === request.params.id)
    if (!found) throw unknownModel(request.params.id, all().map(({ id }) => id))
    return found
  })
}
