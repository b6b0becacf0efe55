/** Query strings of `GET /v1/responses/:id` and of its input items: texts, turned into what they say. */
import { Type, type Static } from 'typebox'
import { checkFields } from '../../validation.js'

type Query = Readonly<Record<string, unknown>>

// Names of what to include may be given as a list in several spellings; there is nothing more that could be.
const passedOver = (name: string): boolean =>
  name !== 'include' && name !== 'include[]' && name !== 'include_obfuscation'

/** Texts that write a number or a truth value as such. */
const valueOf = (text: unknown): unknown => text === 'true'
  ? true
  : text === 'false' ? false : typeof text === 'string' && /^-?\d{1,15}$/.test(text) ? Number(text) : text

const given = (query: Query): Record<string, unknown> => Object.fromEntries(Object.entries(query)
  .filter(([name]) => passedOver(name)).map(([name, value]) => [name, valueOf(value)]))

export const responseQuerySchema = Type.Object({
  stream: Type.Boolean({
    default: false, description: 'send its events; of a response that was asked for as a stream in the background'
  }),
  starting_after: Type.Integer({ minimum: -1, default: -1, description: 'sequence_number after which events are sent' })
}, { additionalProperties: false })

export const itemsQuerySchema = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'items of a page' }),
  order: Type.Enum(['asc', 'desc'], { default: 'desc', description: 'oldest or newest first' }),
  after: Type.Optional(Type.String({ description: 'id of the item before the first' }))
}, { additionalProperties: false })

/** @throws RequestError naming the field, the rule and the value */
export const parseResponseQuery = (query: unknown): Static<typeof responseQuerySchema> =>
  checkFields(responseQuerySchema, given(query as Query), '')

/** @throws RequestError naming the field, the rule and the value */
export const parseItemsQuery = (query: unknown): Static<typeof itemsQuerySchema> =>
  checkFields(itemsQuerySchema, given(query as Query), '')
