/** `GET /v1/models`, `/v1/models/:id` and `/v1/rewards`. */
import type { FastifyInstance } from 'fastify'
import { RequestError } from '../../errors.js'
import type { Services } from '../services.js'

export function models (app: FastifyInstance, services: Services): void {
  const describe = (): object => {
    const { id, created, contextLength } = services.inference.model
    return { id, object: 'model', created, owned_by: 'fairlead', max_model_len: contextLength }
  }
  app.get('/v1/models', () => ({ object: 'list', data: [describe()] }))
  app.get<{ Params: { id: string } }>('/v1/models/:id', request => {
    const { id } = services.inference.model
    if (request.params.id !== id) throw new RequestError('model_not_found', `The model ${JSON.stringify(request.params.id)} does not exist; this server has ${id}`, { param: 'model' })
    return describe()
  })
  app.get('/v1/rewards', () => ({
    object: 'list',
    data: services.inference.rewards.map(({ name, members, description }) => ({ id: name, object: 'reward', members, description }))
  }))
}
