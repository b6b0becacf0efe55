/** Bodies of `POST /v1/rewards/{id}/adapt` and `/suggest`, and how each becomes a request to the inference thread. */
import { Type, type Static } from 'typebox'
import { Checker, checkedApart } from '../../checker.js'
import type { AdaptRequest, SuggestRequest } from '../../serving/calls.js'
import { readExamples, type Pair } from '../../fitting/examples.js'
import { refuse } from '../../validation.js'
import type { Catalog } from '../models/model-catalog.js'
import { messageOf, messageSchema } from '../chat/message-schema.js'

const closed = { additionalProperties: false } as const
const text = Type.String({ minLength: 1, maxLength: 1 << 20 })
const asked = {
  prompt: Type.Optional(Type.String({ description: 'what was asked, as one user message' })),
  messages: Type.Optional(Type.Array(messageSchema, { minItems: 1, maxItems: 4096 }))
}

/** Read by `readExamples`; other fields may stand beside these and are not read. */
const pairsSchema = (most: number, description: string) => checkedApart<unknown[]>(
  Type.Array(Type.Object({ ...asked, chosen: text, rejected: text }), { minItems: 1, maxItems: most, description }),
  'array')

const model = Type.Optional(Type.String({
  minLength: 1, description: 'id of a model in GET /v1/models; default the first that has the reward'
}))

const adaptSchema = Type.Object({
  model,
  name: Type.String({
    minLength: 1, maxLength: 64, description: 'what requests call the new reward: lower-case letters, digits, _ and -'
  }),
  description: Type.String({ minLength: 1, maxLength: 1000, default: 'adapted to a user' }),
  replace: Type.Boolean({ default: false, description: 'put it in the place of one fitted or adapted before' }),
  examples: pairsSchema(100, 'pairs that the user preferred so')
}, closed)
export type AdaptBody = Static<typeof adaptSchema>
export const adaptBody = new Checker(adaptSchema)

const candidateSchema = Type.Object({
  ...asked, answers: Type.Array(text, { minItems: 2, maxItems: 2, description: 'two answers that nobody has compared' })
}, closed)
const suggestSchema = Type.Object({
  model,
  candidates: Type.Array(candidateSchema, { minItems: 1, maxItems: 500 }),
  count: Type.Integer({ minimum: 1, maximum: 100, default: 10, description: 'how many are suggested, at most' }),
  labelled: Type.Optional(pairsSchema(200, 'pairs that have their label already'))
}, closed)
export type SuggestBody = Static<typeof suggestSchema>
export const suggestBody = new Checker(suggestSchema)

/** @throws RequestError naming the field, the rule and the value */
function readPairs (value: unknown, field: string, most: number): readonly Pair[] {
  const examples = readExamples(value, field)
  if (examples.kind !== 'pairs') throw refuse(field, 'must be pairs, with chosen and rejected', examples.kind)
  const { length } = examples.pairs
  if (length > most) throw refuse(field, `must be a list of at most ${most} items`, length)
  return examples.pairs
}

/** @param reward the one to adapt @throws RequestError */
export function parseAdapt (body: AdaptBody, reward: string, catalog: Catalog): AdaptRequest {
  const { model = null, name, description, replace, examples } = body
  return {
    model: catalog.forRewards(model, [reward]).id,
    reward,
    name,
    description,
    replace,
    pairs: readPairs(examples, 'examples', 100)
  }
}

function messagesOf ({ prompt, messages }: Static<typeof candidateSchema>, path: string): Pair['messages'] {
  if ((prompt === undefined) === (messages === undefined)) {
    throw refuse(path, 'must have either prompt or messages', { prompt, messages })
  }
  return messages === undefined ? [{ role: 'user', content: prompt! }] : messages.map(messageOf)
}

/** @param reward the one to be taught @throws RequestError */
export function parseSuggest (body: SuggestBody, reward: string, catalog: Catalog): SuggestRequest {
  const { model = null, candidates, count, labelled } = body
  return {
    model: catalog.forRewards(model, [reward]).id,
    reward,
    count,
    candidates: candidates.map((candidate, index) => ({
      messages: messagesOf(candidate, `candidates[${index}]`), answers: candidate.answers as [string, string]
    })),
    labelled: labelled === undefined ? [] : readPairs(labelled, 'labelled', 200)
  }
}
