/** A recorded run beside the same request run again: whether tokens and rewards are the same, and where they part. */
import type { Lineage, Run } from '../../journal/fold.js'
import { inOrder, tokensOf } from './lineages.js'
import type { ChatBody } from './request.js'

/** Fields that change no token, and are not asked for again: what is stored, who asks, how it is sent. */
const apart = ['stream', 'stream_options', 'store', 'metadata', 'user', 'safety_identifier', 'prompt_cache_key']

/** Why a run cannot be run again, whatever server is there; null where it can. */
export function againRefusal ({ head, start }: Run): string | null {
  if (!head || !start) return 'It never began.'
  if (head.redacted?.some(path => path.startsWith('request.messages'))) return 'Its messages were left out of the file.'
  return Array.isArray(head.request['messages']) ? null : 'Only chats can be run again here.'
}

/** The request of a run, with the seed that it had. @param model that it is asked of */
export function againBody ({ head, start }: Run, model: string): ChatBody {
  const kept = Object.entries(head!.request).filter(([name]) => !apart.includes(name))
  return { ...Object.fromEntries(kept), model, seed: start!.seed } as unknown as ChatBody
}

/** Where two answers part: at a token, or at a character where tokens were not recorded. */
export interface Parting { readonly of: 'token' | 'character', readonly at: number }

/** What came of running it again. */
export interface Comparison {
  /** Whether model, build and machine are the same, as fingerprints tell: only then the same tokens are promised. */
  readonly isSameMachine: boolean
  /** Candidates of which both runs have the text, and how many of them are the same. */
  readonly compared: number
  readonly same: number
  /** The first candidate that is not, and where; null for none. */
  readonly parting: (Parting & { readonly candidate: number }) | null
  /** Whether the same candidates were chosen; null where one of the runs has not chosen. */
  readonly isSameChoice: boolean | null
  /** Candidates that both runs scored, and the largest difference of their last rewards. */
  readonly scored: number
  readonly rewardDifference: number
}

/** The first place at which two lists differ; -1 where one begins with the other. */
function firstDifference<T> (one: ArrayLike<T>, other: ArrayLike<T>): number {
  const shorter = Math.min(one.length, other.length)
  for (let at = 0; at < shorter; at++) if (one[at] !== other[at]) return at
  return -1
}

/** @param isWhole whether the first is all that there was: then the second must not go on either */
function partingOf (before: Run, first: Lineage, after: Run, second: Lineage, isWhole: boolean): Parting | null {
  const [one, other] = [tokensOf(before, first), tokensOf(after, second)]
  const [of, a, b] = one && other
    ? ['token', one.map(({ piece }) => piece), other.map(({ piece }) => piece)] as const
    : ['character', first.text, second.text] as const
  const at = firstDifference<string>(a, b)
  if (at >= 0) return { of, at }
  return a.length === b.length || (!isWhole && a.length < b.length) ? null : { of, at: Math.min(a.length, b.length) }
}

/** Compares a run with the one that was made of its request. */
export function compareRuns (before: Run, after: Run): Comparison {
  const isWhole = before.done !== null
  const pairs = inOrder(before).map(one => [one, after.candidates.get(one.index)] as const)
  // A text that was left out when the run was shared cannot be compared.
  const told = pairs.filter(([{ text, tokens }]) => text !== '' || tokens === 0)
  const partings = told.map(([one, other]) => other
    ? partingOf(before, one, after, other, isWhole)
    : { of: 'token', at: 0 } as const)
  const first = partings.findIndex(parting => parting !== null)
  const differences = pairs.flatMap(([one, other]) =>
    isWhole && one.reward !== null && other && other.reward !== null ? [Math.abs(one.reward - other.reward)] : [])
  return {
    isSameMachine: before.head?.fingerprint === after.head?.fingerprint,
    compared: told.length,
    same: partings.filter(parting => parting === null).length,
    parting: first < 0 ? null : { ...partings[first]!, candidate: told[first]![0].index },
    isSameChoice: before.select && after.select ? String(before.select.chosen) === String(after.select.chosen) : null,
    scored: differences.length,
    rewardDifference: Math.max(0, ...differences)
  }
}
