/**
 * What a remote scorer is asked for an answer, and what score its numbers make: texts, or the tokens of the server's
 * model, whole or step by step. Knows templates and numbers, nothing of sending.
 */
import { openTexts, type CheckpointTexts } from '../../models/formats/checkpoint.js'
import { encodeChat } from '../../models/tokenizer/chat-template.js'
import { sigmoid } from '../../statistics/linear-fit.js'
import { withAnswer } from '../chat-reader.js'
import { labelScore, type ClassifierDescriptor } from './classifier.js'
import { formatOf, layoutOf, stepScore, verdictTokens, type StepRules } from './process.js'
import type { RemoteBatch } from './remote-batch.js'
import type { Asked, ProtocolName, RemoteItem } from './remote-protocols.js'
import type { RawScore } from '../reward-kind.js'
import type { Answer, AnswerMember, ChatMessage } from '../scorer.js'
import { stepsOf } from './step-formats.js'

/** The fields of a descriptor that count here. */
export type ReadingRules = Readonly<Partial<StepRules>> & Readonly<Pick<ClassifierDescriptor, 'label' | 'classes'>> & {
  readonly protocol: ProtocolName, readonly template?: string, readonly useActivation?: boolean
}

/** The raw score of an answer. @throws Error in words that follow "the remote scorer" */
export type RemoteReading = (messages: readonly ChatMessage[], answer: Answer) => Promise<RawScore>

/** How answers are read, the same for all requests. */
export interface RemoteReader {
  /** What the server is asked for beside. */
  readonly asked?: Asked
  /** @param empty score of an answer in which there is nothing to read */
  open (batch: RemoteBatch, member: AnswerMember, empty: number): RemoteReading
}

/** The score that a row of numbers makes. @throws Error where there is no such number, or several and none is meant */
function rowScore (row: readonly number[], { protocol, useActivation, label, classes }: ReadingRules): number {
  if (row.length > 1 && label === undefined && protocol !== 'classify') {
    throw new Error(`must return one finite number per text; got ${JSON.stringify(row).slice(0, 80)}`)
  }
  const index = label ?? 0
  if (index >= row.length) throw new Error(`must return one finite number per text; got nothing as number ${index}`)
  if (useActivation !== false) return row[index]!
  return labelScore(Float32Array.from(row), { label: index, ...(classes && { classes }) }, 'exclusive')
}

/** Answers and prompts as texts, or as messages that the server renders. */
export function textReading (rules: ReadingRules): RemoteReader {
  return {
    open: batch => async (messages, { text: answer }) => {
      const [row] = await batch.rows({ messages, answer, tokens: null })
      return { raw: rowScore(row!, rules) }
    }
  }
}

/** Conversations in the tokens of the server's model, rendered once. */
function chatReading (rules: ReadingRules, { chatTemplate, tokenizer }: CheckpointTexts): RemoteReader {
  return {
    open: (batch, member) => async (messages, { text: answer, final }) => {
      const { tokens } = encodeChat(chatTemplate, tokenizer, withAnswer(messages, answer),
        { addGenerationPrompt: false, continueFinalMessage: !final && member === 'prefix' })
      const [row] = await batch.rows({ messages, answer, tokens })
      return { raw: rowScore(row!, rules) }
    }
  }
}

/** Steps of answers, in the tokens of a process reward model; each step is asked for once. */
function stepReading (rules: ReadingRules, texts: CheckpointTexts, id: string): RemoteReader {
  const format = formatOf(rules as StepRules)
  const layout = layoutOf(format, { id, ...texts })
  const verdicts = rules.protocol === 'completions' ? verdictTokens(format, { id, tokenizer: texts.tokenizer }) : null
  // Of a language model two log-probabilities, of a score head the logits of its classes.
  const probability = (row: readonly number[]): number => verdicts
    ? sigmoid(row[0]! - row[1]!)
    : sigmoid(labelScore(Float32Array.from(row), { label: format.label ?? 0 }, 'exclusive'))
  return {
    asked: verdicts ? { verdicts } : {},
    open (batch, _member, empty) {
      const known = new Map<string, Promise<number[]>>()
      const read = (item: RemoteItem): Promise<number[]> => {
        const key = item.tokens!.join()
        const found = known.get(key) ?? batch.rows(item).then(rows => rows.map(probability))
        known.set(key, found)
        return found
      }
      return async (messages, { text: answer }) => {
        const sequences = layout(messages, stepsOf(answer, format))
        const items: RemoteItem[] = verdicts
          ? sequences.map(tokens => ({ messages, answer, tokens }))
          : sequences.slice(-1).map(tokens =>
            ({ messages, answer, tokens, positions: sequences.map(({ length }) => length - 1) }))
        const steps = (await Promise.all(items.map(read))).flat()
        return stepScore(steps, rules, empty)
      }
    }
  }
}

/**
 * Reading by a tokenizer, which is loaded.
 * @param path of a folder or a GGUF file
 * @throws RequestError for files that are none, and a format of steps that does not fit the tokenizer
 */
export async function tokenReading (rules: ReadingRules, path: string): Promise<RemoteReader> {
  const { template, steps } = rules
  const texts = await openTexts(path, template === undefined ? undefined : { source: template, toolSource: null })
  return steps === undefined ? chatReading(rules, texts) : stepReading(rules, texts, path)
}
