/** Fields of engines' messages, checked as they are read: nothing that another server sends is taken on trust. */
import type { RankedLogprob } from './engine-call.js'

export type Fields = Readonly<Record<string, unknown>>

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a wrong message is, in words that follow "the engine". */
export const wrong = (rule: string, value: unknown): Error =>
  new Error(`must send ${rule}; got ${(JSON.stringify(value) ?? 'nothing').slice(0, 80)}`)

/** @throws Error for anything but an object */
export function fieldsOf (value: unknown, name: string): Fields {
  if (!isFields(value)) throw wrong(`an object as ${name}`, value)
  return value
}

/** [] for what is absent. @throws Error for anything but a list */
export function listOf (value: unknown, name: string): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw wrong(`a list as ${name}`, value)
  return value
}

/** @throws Error for anything but a token id */
export function tokenOf (value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(`a token id as ${name}`, value)
  return value as number
}

/** @throws Error for anything but a number that can be a logprob */
export function logprobOf (value: unknown, name: string): number {
  // Rounding may leave a certain token slightly above 0.
  if (typeof value !== 'number' || !(value <= 1e-3)) throw wrong(`a logprob as ${name}`, value)
  return Math.min(0, value)
}

/** A count, or null where there is none. @throws Error for a number that is no count */
export function countOf (value: unknown, name: string): number | null {
  if (value === undefined || value === null) return null
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(`a count as ${name}`, value)
  return value as number
}

/** A text, or null where there is none. @throws Error for anything else */
export function textOf (value: unknown, name: string): string | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'string') throw wrong(`a text as ${name}`, value)
  return value
}

/** The most probable tokens, descending, ties by lower id: engines list the token that was drawn first. */
export const ranked = (top: readonly RankedLogprob[], count: number): RankedLogprob[] =>
  [...new Map(top.map(one => [one.token, one])).values()]
    .sort((a, b) => b.logprob - a.logprob || a.token - b.token).slice(0, count)
