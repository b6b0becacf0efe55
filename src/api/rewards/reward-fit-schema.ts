/** The body of `POST /v1/rewards/fit`, and how it becomes a request to the inference thread. */
import { Type, type Static } from 'typebox'
import { Checker, checkedApart, nullable } from '../../checker.js'
import type { FitRequest } from '../../serving/calls.js'
import { readExamples, type Examples } from '../../fitting/examples.js'
import type { EnsembleOptions } from '../../fitting/fit-task.js'
import { refuse } from '../../validation.js'
import type { Catalog } from '../models/model-catalog.js'
import { messageSchema } from '../chat/message-schema.js'

const closed = { additionalProperties: false } as const
const text = Type.String({ minLength: 1 })
const asked = {
  prompt: Type.Optional(Type.String({ description: 'what was asked, as one user message' })),
  messages: Type.Optional(Type.Array(messageSchema, { minItems: 1 }))
}

const exampleSchema = Type.Union([
  Type.Object({ ...asked, chosen: text, rejected: text }),
  Type.Object({ ...asked, answer: text, label: Type.Enum([0, 1]) }),
  Type.Object({ ...asked, answer: text, score: Type.Number() })
])

/** Examples, all of one kind; other fields may stand beside these and are not read. Read by `readExamples`. */
const examplesSchema = checkedApart<Array<Static<typeof exampleSchema>>>(
  Type.Array(exampleSchema, {
    minItems: 1,
    description: 'pairs, labelled answers or scored answers; also rows of TRL, UltraFeedback, HH-RLHF, HelpSteer and ' +
    'Nectar as published'
  }), 'array')

const ensembleSchema = Type.Object({
  heads: Type.Integer({ minimum: 2, maximum: 32, default: 5 }),
  uncertainty: Type.Enum(['bootstrap', 'laplace'], {
    default: 'bootstrap',
    description: 'heads fitted on prompts drawn anew, or drawn around one fit by Laplace’s approximation'
  }),
  combine: Type.Enum(['mean', 'min', 'uwo', 'lcb'], { default: 'lcb' }),
  penalty: nullable(Type.Number({ minimum: 0, maximum: 1000 }),
    { default: null, description: 'of uwo and lcb; default 1' })
}, closed)

export const rewardFitSchema = Type.Object({
  model: Type.Optional(Type.String({
    minLength: 1, description: 'id of the model to be steered; default the first in GET /v1/models'
  })),
  feedback: nullable(Type.Object({
    dataset: Type.String({ minLength: 1, maxLength: 64, default: 'default' }),
    kind: nullable(Type.Enum(['pairs', 'labels', 'scores']),
      { default: null, description: 'needed where the data set has several' })
  }, closed), { default: null, description: 'feedback to fit on, in place of examples' }),
  name: Type.String({
    minLength: 1, maxLength: 64, description: 'what requests call the reward: lower-case letters, digits, _ and -'
  }),
  description: Type.String({ minLength: 1, maxLength: 1000, default: 'fitted over HTTP' }),
  replace: Type.Boolean({ default: false, description: 'put it in the place of one fitted before' }),
  data: nullable(Type.String({ minLength: 1, maxLength: 200 }),
    { default: null, description: 'name of the data, for the card' }),
  licence: Type.String({
    minLength: 1, maxLength: 200, default: 'unknown', description: 'licence of the data, for the card'
  }),
  layers: Type.Optional(Type.Array(Type.Integer({ minimum: 0, maximum: 1024 }),
    { minItems: 1, maxItems: 8, description: 'layers to try; default a third, half and two thirds of the model’s' })),
  pooling: Type.Enum(['mean', 'last'], { default: 'mean', description: 'over the answer’s tokens, or its last' }),
  prefixes: Type.Boolean({ default: true, description: 'fit on prefixes too, so that the reward has a prefix member' }),
  max_answer_tokens: Type.Integer({
    minimum: 1, maximum: 1 << 20, default: 256, description: 'longer answers are cut'
  }),
  ensemble: nullable(ensembleSchema, { default: null, description: 'several heads that tell where they disagree' }),
  directions: Type.Optional(Type.Integer({
    minimum: 1,
    maximum: 64,
    description: 'keep so many directions that pairs differ along, so that the reward can be adapted to users'
  })),
  q_head: Type.Boolean({
    default: false,
    description: 'fit a next_token member too, on answers that the model writes to the training prompts: ' +
      'token_guidance with method q_head needs it'
  }),
  stream: Type.Boolean({ default: false, description: 'send progress, then the reward, as server-sent events' }),
  examples: Type.Optional(examplesSchema),
  test: Type.Optional(examplesSchema)
}, closed)

export type RewardFitBody = Static<typeof rewardFitSchema>
export const rewardFitBody = new Checker(rewardFitSchema)

function ensembleOf ({ ensemble }: RewardFitBody): EnsembleOptions | null {
  if (ensemble === null) return null
  const { heads, uncertainty, combine, penalty } = ensemble
  const weighs = combine === 'uwo' || combine === 'lcb'
  if (penalty !== null && !weighs) throw refuse('ensemble.penalty', 'belongs to uwo and lcb', penalty)
  return { heads, uncertainty, combine, penalty: penalty ?? 1 }
}

export interface RewardFitRequest {
  readonly fit: FitRequest
  readonly stream: boolean
}

/** Examples of a data set of feedback; of the kind that is named, or of the only one there is. */
export type FeedbackExamples = (dataset: string, kind: Examples['kind'] | null) => Promise<Examples>

/** What is fitted on, and what it is called where the caller says nothing. */
async function trainingData (
  { feedback, examples }: RewardFitBody, feedbackExamples: FeedbackExamples
): Promise<{ readonly train: Examples, readonly name: string }> {
  if (feedback === null) return { train: readExamples(examples, 'examples'), name: 'examples sent over HTTP' }
  if (examples !== undefined) throw refuse('feedback', 'and examples are mutually exclusive', feedback)
  return {
    train: await feedbackExamples(feedback.dataset, feedback.kind),
    name: `feedback: ${feedback.dataset}`
  }
}

/** @throws RequestError for fields that contradict each other, and examples that cannot be read; model_not_found */
export async function parseRewardFit (
  body: RewardFitBody, catalog: Catalog, feedbackExamples: FeedbackExamples
): Promise<RewardFitRequest> {
  const ensemble = ensembleOf(body)
  const { train, name } = await trainingData(body, feedbackExamples)
  return {
    fit: {
      model: (body.model === undefined ? catalog.default : catalog.find(body.model)).id,
      name: body.name,
      description: body.description,
      replace: body.replace,
      data: { name: body.data ?? name, licence: body.licence },
      train,
      ...(body.test === undefined ? {} : { test: readExamples(body.test, 'test') }),
      ...(body.layers ? { layers: body.layers } : {}),
      pooling: body.pooling,
      prefixes: body.prefixes,
      maxAnswerTokens: body.max_answer_tokens,
      ...(body.directions === undefined ? {} : { directions: body.directions }),
      ...(ensemble ? { ensemble } : {}),
      qHead: body.q_head
    },
    stream: body.stream
  }
}
