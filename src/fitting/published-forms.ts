/**
 * Preference data in the forms in which it is published, as rows of the forms that `examples.ts` reads: TRL's lists of
 * messages and unpaired verdicts (KTO), UltraFeedback, HH-RLHF, HelpSteer, Nectar. Knows rows, not files.
 */
import { isObject } from '../validation.js'
import type { ChatMessage } from '../rewards/scorer.js'

/** A row of a data set, not yet checked. */
export type Row = Readonly<Record<string, unknown>>

/** What is wrong with a row, in words that follow where it stands. */
export class FormError extends Error {
  readonly value: unknown

  /** @param value that is wrong */
  constructor (message: string, value: unknown) {
    super(message)
    this.value = value
  }
}

const isMessages = (value: unknown): value is readonly ChatMessage[] => Array.isArray(value) && value.length > 0 &&
  value.every(one => isObject(one) && typeof one['role'] === 'string' && typeof one['content'] === 'string')

const turn = /\n\n(Human|Assistant):[ ]?/g

/** HH-RLHF's dialogue as messages; null where a text is none. A last turn without words is left out. */
function dialogue (text: unknown): ChatMessage[] | null {
  if (typeof text !== 'string' || !/^\s*\n\nHuman:/.test(text)) return null
  const turns = [...text.matchAll(turn)]
  const messages = turns.map(({ 0: mark, 1: speaker, index }, place) => ({
    role: speaker === 'Human' ? 'user' : 'assistant',
    content: text.slice(index + mark.length, turns[place + 1]?.index).trim()
  }))
  return messages.at(-1)!.content === '' ? messages.slice(0, -1) : messages
}

interface Conversation { readonly prompt: readonly ChatMessage[], readonly answer: string }

/** A conversation whose last message is the answer. @param prompt what comes before it, where that is given apart */
function conversationOf (
  field: string, messages: readonly ChatMessage[], prompt: readonly ChatMessage[] | null
): Conversation {
  const last = messages.at(-1)
  if (last?.role !== 'assistant') throw new FormError(`${field} must end in a message of the assistant`, messages)
  const before = messages.slice(0, -1)
  if (before.length === 0 && prompt === null) {
    throw new FormError(`${field} must hold what was asked before the answer, or prompt must`, messages)
  }
  return { prompt: before.length === 0 ? prompt! : before, answer: last.content }
}

/** What was asked, given apart from the answers. */
function promptOf ({ prompt, messages }: Row): readonly ChatMessage[] | null {
  if (isMessages(prompt)) return prompt
  if (typeof prompt === 'string') return dialogue(prompt) ?? [{ role: 'user', content: prompt }]
  return isMessages(messages) && prompt === undefined ? messages : null
}

/** TRL's pairs of message lists, with or without a prompt apart, UltraFeedback's binarised form and HH-RLHF's texts. */
function pairOfConversations (row: Row): Row | null {
  const [chosen, rejected] = [row.chosen, row.rejected].map(one => isMessages(one) ? one : dialogue(one))
  if (!chosen && !rejected) return null
  if (!chosen || !rejected) throw new FormError('chosen and rejected must be of one form', row.rejected)
  const apart = promptOf(row)
  const [better, worse] = [conversationOf('chosen', chosen, apart), conversationOf('rejected', rejected, apart)]
  if (JSON.stringify(better.prompt) !== JSON.stringify(worse.prompt)) {
    throw new FormError('chosen and rejected must be the same but for their last message', worse.prompt)
  }
  const isContinued = isMessages(row.prompt) && chosen.length > 1 &&
    JSON.stringify(chosen.slice(0, row.prompt.length)) !== JSON.stringify(row.prompt)
  const messages = isContinued ? [...row.prompt as readonly ChatMessage[], ...better.prompt] : better.prompt
  return { messages, chosen: better.answer, rejected: worse.answer }
}

/** TRL's unpaired form. */
function completion (row: Row): Row | null {
  const { completion: given, prompt, ...rest } = row
  if (given === undefined || row.label === undefined) return null
  const messages = promptOf(row)
  if (messages === null) throw new FormError('prompt must be a text or a list of messages', prompt)
  return { ...rest, messages, answer: isMessages(given) ? conversationOf('completion', given, messages).answer : given }
}

/** Forms that hold several answers to a prompt, each with a number. */
function rated (row: Row): Row[] | null {
  const { instruction, completions, answers } = row
  if (typeof instruction === 'string' && Array.isArray(completions)) {
    return completions.map((one: unknown) => ({
      prompt: instruction, answer: Object(one).response, score: Object(one).overall_score
    }))
  }
  if (Array.isArray(answers) && answers.every(one => isObject(one) && 'rank' in one)) {
    const messages = promptOf(row)
    return answers.map((one: Row) => ({
      ...(messages ? { messages } : {}), answer: one.answer, score: typeof one.rank === 'number' ? -one.rank : one.rank
    }))
  }
  if (row.response !== undefined && row.helpfulness !== undefined) {
    return [{ prompt: row.prompt, answer: row.response, score: row.helpfulness }]
  }
  return null
}

/** A prompt given as messages. */
function promptAsMessages ({ prompt, ...row }: Row): Row | null {
  return isMessages(prompt) && row.messages === undefined ? { ...row, messages: prompt } : null
}

/**
 * The rows that a published row stands for; a row of no published form is returned as it is.
 * @throws FormError
 */
export function plainRows (row: Row): readonly Row[] {
  const one = pairOfConversations(row) ?? completion(row) ?? promptAsMessages(row)
  return one ? [one] : rated(row) ?? [row]
}
