/** OpenAI's legacy completions as Fairlead answers them. */
import { Type, type Static } from 'typebox'
import type { Entry } from '../../journal/entries.js'
import {
  alignmentReportObject, choiceAlignmentObject, listOf, orNull, type AlignmentProgress, type AlignmentReport
} from '../alignment/alignment-types.js'
import { completionHead, usageObject, type Usage } from '../chat/chat-types.js'

const logprobsObject = Type.Object({
  tokens: listOf(Type.String()),
  token_logprobs: listOf(orNull(Type.Number()), 'ln π in nats, null for a prompt’s first'),
  top_logprobs: listOf(orNull(Type.Record(Type.String(), Type.Number())), 'the most probable tokens'),
  text_offset: listOf(Type.Integer(), 'where each begins in the text, in code points')
})
/** Logprobs as parallel lists, a token at each index. */
export type LegacyLogprobs = Static<typeof logprobsObject>

const choiceObject = Type.Object({
  index: Type.Integer(),
  text: Type.String(),
  logprobs: orNull(logprobsObject),
  finish_reason: Type.Enum(['stop', 'length']),
  alignment: Type.Optional(choiceAlignmentObject),
  prompt_token_ids: Type.Optional(listOf(Type.Integer(), 'with return_token_ids')),
  token_ids: Type.Optional(listOf(Type.Integer(), 'with return_token_ids'))
})
/** One returned answer. */
export type CompletionChoice = Static<typeof choiceObject>

export const completionObject = Type.Object({
  ...completionHead,
  object: Type.Literal('text_completion'),
  choices: listOf(choiceObject),
  usage: usageObject,
  alignment: Type.Optional(Type.Union([
    alignmentReportObject, listOf(orNull(alignmentReportObject), 'of several prompts, in their order')
  ]))
})
/** Whole answers to one or several prompts. */
export type Completion = Static<typeof completionObject>

/** What a chunk adds to a choice. */
export type CompletionChunkChoice = Omit<CompletionChoice, 'finish_reason'>
  & { readonly finish_reason: CompletionChoice['finish_reason'] | null }

/** A piece of an answer. */
export interface CompletionChunk extends Omit<Completion, 'choices' | 'usage' | 'alignment'> {
  readonly choices: readonly CompletionChunkChoice[]
  readonly usage?: Usage | null
  /** With `stream_options.include_journal`: entries of the journal of one prompt's run. */
  readonly journal?: readonly Entry[]
  readonly prompt?: number
  readonly alignment?: AlignmentReport
    | { readonly prompt: number, readonly progress: Pick<AlignmentProgress['progress'], 'candidates'> }
}
