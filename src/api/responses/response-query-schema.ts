/** Query strings of `GET /v1/responses/:id` and of its input items. */
import { Type, type Static } from 'typebox'
import { Checker } from '../../checker.js'

// Names of what to include may be given as a list in several spellings; there is nothing more that could be.
const isNamed = (name: string): boolean => name !== 'include' && name !== 'include[]' && name !== 'include_obfuscation'

const responseQuerySchema = Type.Object({
  stream: Type.Boolean({
    default: false, description: 'send its events; of a response that was asked for as a stream in the background'
  }),
  starting_after: Type.Integer({ minimum: -1, default: -1, description: 'sequence_number after which events are sent' })
})
export type ResponseQuery = Static<typeof responseQuerySchema>
export const responseQuery = new Checker(responseQuerySchema, { unknown: isNamed, coerce: true })

const itemsQuerySchema = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'items of a page' }),
  order: Type.Enum(['asc', 'desc'], { default: 'desc', description: 'oldest or newest first' }),
  after: Type.Optional(Type.String({ description: 'id of the item before the first' }))
})
export type ItemsQuery = Static<typeof itemsQuerySchema>
export const itemsQuery = new Checker(itemsQuerySchema, { unknown: isNamed, coerce: true })
