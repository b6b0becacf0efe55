/**
 * Process rewards: a model of its own gives the probability that each step is right, and they are aggregated. Every
 * step is read once, however often the answer is scored while it grows. How steps are written is `step-formats.ts`.
 */
import { Type, type Static, type TObject } from 'typebox'
import type { Distribution } from '../../engine/sequence.js'
import { RequestError } from '../../errors.js'
import { encodeChat } from '../../models/tokenizer/chat-template.js'
import { sigmoid } from '../../statistics/linear-fit.js'
import { ChatReader, loadRewardModel, modelFields, withSystem } from '../chat-reader.js'
import { labelScore } from './classifier.js'
import { membersSchema } from '../descriptor-parts.js'
import type { OpenContext, RawScore, RewardSource } from '../reward-kind.js'
import type { ModelRuntime } from '../../engine/model-runtime.js'
import type { ChatMessage, Prompt, AnswerMember } from '../scorer.js'
import {
  stepFormatNames, stepFormats, stepFormatSchema, stepsOf, type StepFormat, type StepFormatName
} from './step-formats.js'
import { textSource, type TextScorer } from '../text-source.js'

const aggregations = {
  last: (steps: readonly number[]) => steps.at(-1)!,
  min: (steps: readonly number[]) => Math.min(...steps),
  max: (steps: readonly number[]) => Math.max(...steps),
  prod: (steps: readonly number[]) => steps.reduce((product, step) => product * step, 1),
  mean: (steps: readonly number[]) => steps.reduce((sum, step) => sum + step, 0) / steps.length,
  sum: (steps: readonly number[]) => steps.reduce((sum, step) => sum + step, 0)
} as const

/** How steps are written and what is made of their probabilities, wherever the model runs. */
export const stepFields = {
  /** A published format by its name, or one of your own. */
  steps: Type.Union([Type.Enum(stepFormatNames), stepFormatSchema]),
  /** How the steps' probabilities are aggregated. Default min. */
  aggregation: Type.Optional(Type.Enum(Object.keys(aggregations) as Array<keyof typeof aggregations>)),
  /** Only this many of the last steps count. Default all. */
  window: Type.Optional(Type.Integer({ minimum: 1 }))
}

/** Fields of a process reward's descriptor beside the family's. */
export const processFields = { kind: Type.Literal('process'), ...modelFields, ...stepFields, members: membersSchema }

export type ProcessDescriptor = Static<TObject<typeof processFields>>
export type StepRules = Static<TObject<typeof stepFields>>

/** The probability that a step is right, from the model's distribution where it is read. */
type Verdict = (distribution: Distribution) => number

const refuse = (why: string): RequestError => new RequestError('invalid_request', `steps: ${why}`)

/**
 * The tokens of a good and a bad step in a language model.
 * @throws RequestError for a format that does not fit the model
 */
export function verdictTokens (
  { verdicts, label }: StepFormat, { id, tokenizer }: Pick<ModelRuntime['model'], 'id' | 'tokenizer'>
): [good: number, bad: number] {
  if (!verdicts) throw refuse(`verdicts are required to name the tokens to compare, since ${id} has no score head`)
  if (label !== undefined) throw refuse('label is of a score head, verdicts of a language model; give one of them')
  const [good, bad] = [verdicts.good, verdicts.bad].map(text => {
    const tokens = tokenizer.encodeTemplate([{ text, trusted: true }])
    if (tokens.length !== 1) {
      throw refuse(`verdicts must be one token each; ${JSON.stringify(text)} has ${tokens.length} in ${id}`)
    }
    return tokens[0]!
  }) as [number, number]
  if (good === bad) throw refuse(`verdicts must be two tokens; both are token ${good} in ${id}`)
  return [good, bad]
}

/** @throws RequestError for a format that does not fit the model */
function verdictOf (format: StepFormat, model: ModelRuntime['model']): Verdict {
  const { verdicts, label } = format
  const { id, config: { scoreHead, outputSize } } = model
  if (verdicts && scoreHead) throw refuse(`verdicts require a language model; ${id} has a score head`)
  if (!scoreHead) {
    const [good, bad] = verdictTokens(format, model)
    return ({ logits }) => sigmoid(logits[good]! - logits[bad]!)
  }
  if (scoreHead.scores === 'numbers') {
    throw refuse(`${id} was trained by regression (problem_type of its config.json): its scores are no log-odds`)
  }
  if (outputSize > 1 ? label === undefined || label >= outputSize : (label ?? 0) > 0) {
    throw refuse(`label must be below ${outputSize}, the number of scores of ${id}; got ${label ?? 'nothing'}`)
  }
  return ({ logits }) => sigmoid(labelScore(logits, { label: label ?? 0 }, scoreHead.scores))
}

/** A text that is written as control tokens are. */
const looksLikeControl = /^\s*(<\S+>|\[\S+\])\s*$/

/**
 * @param tokens of the format's marker
 * @throws RequestError for a marker that is meant to be a token and is none in the model, and for fields that the
 * layout does not use
 */
function checkFormat ({ layout, marker, afterQuestion, betweenSteps }: StepFormat, tokens: number, id: string): void {
  if (tokens !== 1 && looksLikeControl.test(marker)) {
    throw refuse(`marker must be one token; ${JSON.stringify(marker)} has ${tokens} in ${id}`)
  }
  const unused = layout === 'answer' && afterQuestion !== undefined
    ? 'afterQuestion'
    : layout === 'turns' && betweenSteps !== undefined ? 'betweenSteps' : null
  if (unused) throw refuse(`${unused} is not used in the layout ${layout}`)
}

/** Token sequences that end where each step is read; each begins with the one before. */
export type Layout = (messages: readonly ChatMessage[], steps: readonly string[]) => number[][]

/**
 * The tokens that a format makes of a conversation and the steps of an answer.
 * @throws RequestError for a format that does not fit the model
 */
export function layoutOf (
  format: StepFormat, { id, tokenizer, chatTemplate }: Pick<ModelRuntime['model'], 'id' | 'tokenizer' | 'chatTemplate'>
): Layout {
  const { layout, marker, afterQuestion = ' ', betweenSteps = '', system } = format
  // In turns it is a message, in which nothing is a control token.
  const markerTokens = tokenizer.encodeTemplate([{ text: marker, trusted: layout !== 'turns' }])
  checkFormat(format, markerTokens.length, id)
  const question = (messages: readonly ChatMessage[]): string =>
    withSystem(messages, system).map(({ content }) => content).join('\n') + afterQuestion
  /**
   * Each step, and its marker, behind what comes before.
   * @param opening text before the first step, of one piece with it
   */
  const behind = (start: readonly number[], opening: string, steps: readonly string[]): number[][] => {
    let tokens = [...start]
    return steps.map((step, index) => {
      tokens = [...tokens, ...tokenizer.encode((index === 0 ? opening : betweenSteps) + step), ...markerTokens]
      return tokens
    })
  }
  switch (layout) {
    case 'text': return (messages, steps) => behind(tokenizer.startTokens, question(messages), steps)
    case 'parts': {
      const beginning = chatTemplate.constants.bos_token
      if (beginning === '') {
        throw refuse("the layout parts starts with the model's BOS token; " +
          `${id} has none (bos_token of tokenizer_config.json)`)
      }
      const [first, ...others] = tokenizer.encodeTemplate([{ text: beginning, trusted: true }])
      if (first === undefined || others.length > 0) {
        throw refuse(`the layout parts starts with one token; ${JSON.stringify(beginning)} has ` +
          `${others.length + 1} in ${id}`)
      }
      return (messages, steps) => behind([first, ...tokenizer.encode(question(messages))], '', steps)
    }
    case 'answer': return (messages, steps) =>
      behind(encodeChat(chatTemplate, tokenizer, withSystem(messages, system)).tokens, '', steps)
    case 'turns': return (messages, steps) => {
      const turns = withSystem(messages, system)
      const { content } = turns.pop()!
      return steps.map((step, index) => {
        turns.push({ role: 'user', content: index === 0 ? content + afterQuestion + step : step })
        const { tokens } = encodeChat(chatTemplate, tokenizer, turns)
        turns.push({ role: 'assistant', content: marker })
        return tokens
      })
    }
  }
}

/** Scores of steps in one request, each read once. */
class StepScorer {
  readonly #reader: ChatReader
  readonly #verdict: Verdict
  readonly #layout: Layout
  /** By the tokens that were read. */
  readonly #known = new Map<string, number>()

  constructor (reader: ChatReader, verdict: Verdict, layout: Layout) {
    this.#reader = reader
    this.#verdict = verdict
    this.#layout = layout
  }

  /** Probabilities of the steps of several answers: round by round, so that their common prefix is read once. */
  async score ({ messages }: Prompt, answers: ReadonlyArray<readonly string[]>): Promise<number[][]> {
    const sequences = answers.map(steps => this.#layout(messages, steps).map(tokens => this.#reader.checked(tokens)))
    for (let round = 0; round < Math.max(...sequences.map(({ length }) => length)); round++) {
      const unread = new Map<string, readonly number[]>()
      for (const { [round]: tokens } of sequences) {
        if (tokens && !this.#known.has(tokens.join())) unread.set(tokens.join(), tokens)
      }
      const probabilities = unread.size === 0
        ? []
        : await this.#reader.read([...unread.values()], ({ distribution }) => this.#verdict(distribution))
      for (const [index, key] of [...unread.keys()].entries()) this.#known.set(key, probabilities[index]!)
    }
    return sequences.map(steps => steps.map(tokens => this.#known.get(tokens.join())!))
  }
}

function openProcess (
  descriptor: ProcessDescriptor, model: ModelRuntime, verdict: Verdict, layout: Layout, member: AnswerMember,
  context: OpenContext
): TextScorer {
  const format = formatOf(descriptor)
  const reader = new ChatReader(model, context)
  const steps = new StepScorer(reader, verdict, layout)
  const { normalization } = descriptor.members[member]!
  return {
    demands: [reader.demand],
    async score (prompt, answers) {
      const scored = await steps.score(prompt, answers.map(({ text }) => stepsOf(text, format)))
      return scored.map(probabilities => stepScore(probabilities, descriptor, normalization.mean))
    }
  }
}

/** The score that the probabilities of an answer's steps make. @param empty that of an answer without steps */
export function stepScore (
  steps: readonly number[], { aggregation = 'min', window = Infinity }: Pick<StepRules, 'aggregation' | 'window'>,
  empty: number
): RawScore {
  const raw = steps.length === 0 ? empty : aggregations[aggregation as keyof typeof aggregations](steps.slice(-window))
  return { raw, steps }
}

/** The format that a descriptor names or gives. */
export const formatOf = ({ steps }: Pick<StepRules, 'steps'>): StepFormat =>
  typeof steps === 'string' ? stepFormats[steps as StepFormatName] : steps as StepFormat

/** A process reward model as a source of scores. @param folder of the descriptor */
export function processSource (descriptor: ProcessDescriptor, folder: string): RewardSource {
  return textSource(descriptor.members, async models => {
    const model = await loadRewardModel(models, descriptor, folder)
    const format = formatOf(descriptor)
    const [verdict, layout] = [verdictOf(format, model.model), layoutOf(format, model.model)]
    return {
      hashes: [model.model.sha256],
      open: (member, context) => openProcess(descriptor, model, verdict, layout, member, context)
    }
  })
}
