/**
 * Training data of rewards: lines of JSON, read and checked, and the form a fit works on. A pair is an answer against
 * another, a labelled text an answer against zero, a scored one an answer with a number to predict. Knows texts, not
 * features.
 */
import { createHash } from 'node:crypto'
import { RequestError } from '../errors.js'
import { halfPairIn, halfPairRule } from '../half-pairs.js'
import { isObject } from '../validation.js'
import type { ChatMessage } from '../rewards/scorer.js'
import { FormError, plainRows, type Row } from './published-forms.js'

/** `chosen` was preferred to `rejected` as an answer to `messages`. */
export interface Pair { readonly messages: readonly ChatMessage[], readonly chosen: string, readonly rejected: string }

/** An answer with a verdict: 1 is good, 0 is bad. */
export interface Labelled { readonly messages: readonly ChatMessage[], readonly answer: string, readonly label: 0 | 1 }

/** An answer and a number that says how good it is, on any scale. */
export interface Scored { readonly messages: readonly ChatMessage[], readonly answer: string, readonly score: number }

/** All of one kind. */
export type Examples =
  | { readonly kind: 'pairs', readonly pairs: readonly Pair[] }
  | { readonly kind: 'labels', readonly labelled: readonly Labelled[] }
  | { readonly kind: 'scores', readonly scored: readonly Scored[] }

function messagesOf (examples: Examples): Array<readonly ChatMessage[]> {
  switch (examples.kind) {
    case 'pairs': return examples.pairs.map(({ messages }) => messages)
    case 'labels': return examples.labelled.map(({ messages }) => messages)
    case 'scores': return examples.scored.map(({ messages }) => messages)
  }
}

/** What examples are answers to, each once, in order. */
export function distinctPrompts (examples: Examples): Array<readonly ChatMessage[]> {
  return [...new Map(messagesOf(examples).map(messages => [JSON.stringify(messages), messages])).values()]
}

/** What a labelled text without a prompt of its own is read as an answer to. */
export const defaultPrompt = 'Write a short text.'

/** One answer of a sample set. */
export interface SampleAnswer { readonly messages: readonly ChatMessage[], readonly text: string }

/**
 * score(answer) − score(against, or 0) should have the sign of `label`, or be `label` where the set is scored. Both are
 * indices into the set's answers.
 */
export interface Sample {
  readonly answer: number
  readonly against: number | null
  /** +1 or −1; in a scored set any number. */
  readonly label: number
  /** What belongs together when data is split: the prompt. */
  readonly group: string
}

/** Samples over distinct answers. */
export interface SampleSet {
  readonly kind: Examples['kind']
  readonly answers: readonly SampleAnswer[]
  readonly samples: readonly Sample[]
}

/**
 * Reads JSONL. Pairs: `{"prompt" | "messages", "chosen", "rejected"}`. Labels: `{"text" | "answer", "label": 0 | 1}`
 * with an optional `prompt` or `messages`. Scores: the same with `"score": number`. Rows as published data sets have
 * them are read too (`published-forms.ts`). Other fields may stand beside them and are not read; blank lines are
 * skipped. The first line decides which of the three the file holds.
 * @param file name for messages
 * @throws RequestError naming line, field, rule and value
 */
export function parseExamples (text: string, file: string): Examples {
  const lines = text.split('\n').map((line, index) => ({ line, where: `${file}:${index + 1}` }))
    .filter(({ line }) => line.trim() !== '')
  if (lines.length === 0) {
    throw new RequestError('invalid_request', `${file}: must contain at least one line of JSON; it is empty`)
  }
  return examplesOf(lines.map(({ line, where }) => ({ row: parseLine(line, where), where })))
}

/**
 * Reads a list of objects with the same fields as lines of a file have.
 * @param field name of the list, for messages
 * @throws RequestError naming item, field, rule and value
 */
export function readExamples (value: unknown, field: string): Examples {
  if (!Array.isArray(value) || value.length === 0) throw refuse(field, 'must be a nonempty list', value)
  return examplesOf(value.map((row: unknown, index) => ({
    row: objectRow(row, `${field}[${index}]`, 'example'), where: `${field}[${index}]`
  })))
}

interface Placed { readonly row: Row, readonly where: string }

/** The rows that one stands for, where it is of a published form. */
function plain ({ row, where }: Placed): Placed[] {
  try {
    return plainRows(row).map(one => ({ row: one, where }))
  } catch (error) {
    if (error instanceof FormError) throw refuse(where, error.message, error.value)
    throw error
  }
}

/** @param given at least one */
function examplesOf (given: readonly Placed[]): Examples {
  const rows = given.flatMap(plain)
  const first = rows[0] ?? given[0]!
  if (!['chosen', 'label', 'score'].some(field => field in first.row)) {
    throw refuse(first.where, 'must be {"prompt", "chosen", "rejected"}, {"prompt", "answer", "label": 0 | 1}, ' +
      '{"prompt", "answer", "score"}, or a row of TRL, UltraFeedback, HH-RLHF, HelpSteer or Nectar as published',
    Object.keys(first.row))
  }
  if ('chosen' in first.row) return { kind: 'pairs', pairs: rows.map(({ row, where }) => parsePair(row, where)) }
  if ('score' in first.row &&
      !('label' in first.row)) return { kind: 'scores', scored: rows.map(({ row, where }) => parseScored(row, where)) }
  return { kind: 'labels', labelled: rows.map(({ row, where }) => parseLabelled(row, where)) }
}

function refuse (where: string, problem: string, value: unknown): RequestError {
  return new RequestError('invalid_request', `${where}: ${problem}; got ` +
    `${value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80)}`, { param: where })
}

function parseLine (line: string, where: string): Row {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw refuse(where, `line must be JSON (${(error as Error).message})`, line)
  }
  if (halfPairIn(line, value) !== null) throw refuse(where, halfPairRule, line)
  return objectRow(value, where, 'line')
}

function objectRow (value: unknown, where: string, what: string): Row {
  if (!isObject(value)) throw refuse(where, `${what} must be a JSON object`, value)
  return value
}

function parsePair (row: Row, where: string): Pair {
  if (row.prompt === undefined &&
      row.messages === undefined) throw refuse(where, 'prompt or messages is required', undefined)
  return {
    messages: parseMessages(row, where),
    chosen: answerText(row, 'chosen', where),
    rejected: answerText(row, 'rejected', where)
  }
}

function parseScored (row: Row, where: string): Scored {
  const { score } = row
  if (typeof score !== 'number' || !Number.isFinite(score)) throw refuse(where, 'score must be a number', score)
  return {
    messages: parseMessages(row, where),
    answer: answerText(row, row.answer === undefined ? 'text' : 'answer', where),
    score
  }
}

function parseLabelled (row: Row, where: string): Labelled {
  const answer = answerText(row, row.answer === undefined ? 'text' : 'answer', where)
  const label = typeof row.label === 'boolean' ? Number(row.label) : row.label
  if (label !== 0 && label !== 1) throw refuse(where, 'label must be 0 or 1', row.label)
  return { messages: parseMessages(row, where), answer, label }
}

function answerText (row: Row, field: string, where: string): string {
  const value = row[field]
  if (typeof value !== 'string' ||
      value === '') throw refuse(where, `${field} must be a nonempty string`, value)
  return value
}

function parseMessages (row: Row, where: string): ChatMessage[] {
  const { prompt, messages } = row
  if (prompt !== undefined &&
      messages !== undefined) throw refuse(where, 'prompt and messages are mutually exclusive', prompt)
  if (messages === undefined) {
    if (prompt !== undefined && typeof prompt !== 'string') throw refuse(where, 'prompt must be a string', prompt)
    return [{ role: 'user', content: prompt ?? defaultPrompt }]
  }
  if (!Array.isArray(messages) ||
      messages.length === 0) throw refuse(where, 'messages must be a nonempty array', messages)
  return messages.map((message: Partial<ChatMessage> | null, index) => {
    if (typeof message?.role !== 'string' || typeof message.content !== 'string') {
      throw refuse(where, `messages[${index}] must have the string fields role and content`, message)
    }
    return { role: message.role, content: message.content }
  })
}

/** With fewer prompts than this, data is split by answer instead. */
const minPrompts = 10

/** Examples as samples: equal answers once, grouped by prompt, or by answer where there are fewer than ten prompts. */
export function toSamples (examples: Examples): SampleSet {
  const answers: SampleAnswer[] = []
  const indices = new Map<string, number>()
  function indexOf (messages: readonly ChatMessage[], text: string): number {
    const key = JSON.stringify([messages, text])
    const known = indices.get(key)
    if (known !== undefined) return known
    indices.set(key, answers.length)
    return answers.push({ messages, text }) - 1
  }
  const rows = rowsOf(examples, indexOf)
  const prompts = rows.map(({ messages }) => JSON.stringify(messages))
  const byPrompt = new Set(prompts).size >= minPrompts
  const samples = rows.map(({ answer, against, label }, index) => ({
    answer, against, label, group: byPrompt ? prompts[index]! : `answer ${answer}`
  }))
  return { kind: examples.kind, answers, samples }
}

type SampleRow = Omit<Sample, 'group'> & { readonly messages: readonly ChatMessage[] }

function rowsOf (examples: Examples, indexOf: (messages: readonly ChatMessage[], text: string) => number): SampleRow[] {
  switch (examples.kind) {
    case 'pairs': return examples.pairs.map(({ messages, chosen, rejected }) => ({
      messages, answer: indexOf(messages, chosen), against: indexOf(messages, rejected), label: 1
    }))
    case 'labels': return examples.labelled.map(({ messages, answer, label }) => ({
      messages, answer: indexOf(messages, answer), against: null, label: label === 1 ? 1 : -1
    }))
    case 'scores': return examples.scored.map(({ messages, answer, score }) => ({
      messages, answer: indexOf(messages, answer), against: null, label: score
    }))
  }
}

/** Share of the groups held out where no test data is given. */
const heldOutShare = 0.2

/** Two sets without a group in common, over the same answers; which group goes where depends on the group alone. */
export function splitSamples ({ kind, answers, samples }: SampleSet): { train: SampleSet, test: SampleSet } {
  const order = (group: string): string => createHash('sha256').update(group).digest('hex')
  const groups = [...new Set(samples.map(sample => sample.group))].sort((a, b) => order(a) < order(b) ? -1 : 1)
  const held = new Set(groups.slice(0, Math.ceil(groups.length * heldOutShare)))
  return {
    train: { kind, answers, samples: samples.filter(sample => !held.has(sample.group)) },
    test: { kind, answers, samples: samples.filter(sample => held.has(sample.group)) }
  }
}

/** Answers that one answer is paired with, at most, so that a prompt of many answers does not make their square. */
const maxPartners = 8

/**
 * A scored set as pairs, better against worse: each answer with the next eight of its prompt whose scores differ; where
 * prompts have one answer each, every answer with the next. What ranks answers is judged by them. Other sets are what
 * they are.
 */
export function asPairs<S extends SampleSet> (set: S): S {
  if (set.kind !== 'scores') return set
  const groups = new Map<string, Sample[]>()
  for (const sample of set.samples) groups.set(sample.group, [...groups.get(sample.group) ?? [], sample])
  const within = [...groups.values()].flatMap(own =>
    own.flatMap((one, index) => own.slice(index + 1, index + 1 + maxPartners).map(other => [one, other] as const)))
  const pairs =
    within.length > 0 ? within : set.samples.slice(1).map((sample, index) => [set.samples[index]!, sample] as const)
  const samples = pairs.filter(([one, other]) => one.label !== other.label).map(([one, other]): Sample => {
    const [better, worse] = one.label > other.label ? [one, other] : [other, one]
    return { answer: better.answer, against: worse.answer, label: 1, group: one.group }
  })
  return { ...set, kind: 'pairs', samples }
}
