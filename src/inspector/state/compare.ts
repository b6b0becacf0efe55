/** Compare: the same prompts and seeds answered in two or three ways, read again by one reward. */
import { computed, signal } from '@preact/signals'
import type { Usage } from '../logic/api-types.js'
import { distinctPairs } from '../logic/intervals.js'
import type { Asked, Preset } from '../logic/presets.js'
import { chatBody, firstDraft, messagesOf, plain, type Draft, type Weighted } from '../logic/request.js'
import { randomSeed, scoreAnswers } from '../server/answers.js'
import { noteFailure } from '../server/connection.js'
import { ApiFailure, call } from '../server/http.js'
import { isReady } from '../server/link.js'
import { baseModel, chosenModel } from './model.js'

/** One way to answer. */
export interface Way extends Asked { readonly id: number }

/** One answer, and what it took. */
export interface Outcome {
  readonly seed: number
  readonly text: string
  readonly generated: number
  readonly ms: number
  readonly kl: number | null
  readonly klKind: string | null
  readonly length: number
  readonly distinct: number | null
  /** By the rewards that all answers are read again with, in their order. */
  readonly scores: readonly number[]
}

interface Answered {
  readonly choices: ReadonlyArray<{ readonly message: { readonly content: string | null } }>
  readonly usage: Usage
  readonly alignment?: { readonly kl: { readonly value: number | null, readonly kind: string | null } }
}

let ids = 0
const way = (draft: Draft, profile: string | null = null): Way => ({ id: ids++, draft, profile })

export const prompt = signal(firstDraft.prompt)
export const maxTokens = signal(64)
export const seeds = signal(1)
export const isBlind = signal(false)
/** Whether answers are drawn at the same time; times are not comparable then. */
export const atOnce = signal(false)
export const ways = signal<readonly Way[]>([
  way({ ...firstDraft, strategy: plain, n: 1 }), way({ ...firstDraft, strategy: 'best_of_n' })
])
/** Rewards that all answers are read again with. */
export const judges = signal<readonly string[]>([])
/** Answers by way. */
export const outcomes = signal<ReadonlyMap<number, readonly Outcome[]>>(new Map())
export const isRunning = signal(false)
export const failure = signal<ApiFailure | null>(null)
/** Whether the answers' times were taken together. */
export const timedTogether = signal(false)
/** Whether a vote was given on what is shown. */
export const hasVoted = signal(false)
let abort: AbortController | null = null

export const refusal = computed(() => !isReady.value
  ? 'The server is not ready.'
  : prompt.value.trim() === ''
    ? 'A prompt is needed.'
    : judges.value.length === 0 ? 'A reward to judge by is needed.' : null)

export function changeWay (id: number, changes: Partial<Draft>): void {
  ways.value = ways.value.map(one => one.id === id ? { ...one, draft: { ...one.draft, ...changes } } : one)
}

/** @param profile null for the column's own settings */
export function changeProfile (id: number, profile: string | null): void {
  ways.value = ways.value.map(one => one.id === id ? { ...one, profile } : one)
}

export function addWay (draft: Draft): void { ways.value = [...ways.value, way({ ...draft, n: 1 })] }
export function removeWay (id: number): void { ways.value = ways.value.filter(one => one.id !== id) }

/** Makes the columns a preset's. A reward that already judges goes on doing so where the preset has none. */
export function comparePreset ({ ways: asked }: Preset): void {
  const { draft } = asked.at(-1)!
  const [first] = draft.rewards
  prompt.value = draft.prompt
  maxTokens.value = draft.maxTokens
  ways.value = asked.map(one => way(one.draft, one.profile))
  if (first) judges.value = [first.name]
  outcomes.value = new Map()
  hasVoted.value = false
}

const whole = (draft: Draft, seed: number): Draft =>
  ({ ...draft, prompt: prompt.value, maxTokens: maxTokens.value, seed, n: 1, beginning: '' })

/** The model that answers: plain answers are no profile's. */
const modelOf = ({ draft, profile }: Way): string =>
  profile ?? (draft.strategy === plain ? baseModel.value : chosenModel.value)

async function answer (way: Way, seed: number, signal: AbortSignal): Promise<Outcome> {
  const { draft } = way
  const asked = whole(draft, seed)
  const began = performance.now()
  const { choices, usage, alignment } =
    await call<Answered>('/v1/chat/completions', { body: chatBody(asked, modelOf(way)), signal })
  const ms = performance.now() - began
  const text = choices[0]?.message.content ?? ''
  const scores = await Promise.all(judges.value.map(async name => {
    const weighted: Weighted[] = [{ name, weight: 1 }]
    return (await scoreAnswers(baseModel.value, weighted, messagesOf(asked), [text]))[0]!
  }))
  return {
    seed,
    text,
    generated: usage.alignment_details.generated_tokens,
    ms,
    kl: alignment ? alignment.kl.value : draft.strategy === plain ? 0 : null,
    klKind: alignment?.kl.kind ?? null,
    length: [...text].length,
    distinct: distinctPairs(text),
    scores
  }
}

/** Answers every way with every seed: one after the other, or each way at the same time. */
export async function compare (): Promise<void> {
  if (refusal.value !== null || isRunning.value) return
  abort = new AbortController()
  const { signal } = abort
  const together = atOnce.value
  isRunning.value = true
  failure.value = null
  hasVoted.value = false
  timedTogether.value = together
  outcomes.value = new Map()
  const first = randomSeed()
  const one = async (way: Way, seed: number): Promise<void> => {
    const outcome = await answer(way, seed, signal)
    outcomes.value = new Map(outcomes.value).set(way.id, [...outcomes.value.get(way.id) ?? [], outcome])
  }
  try {
    for (let at = 0; at < seeds.value; at++) {
      if (together) await Promise.all(ways.value.map(way => one(way, first + at)))
      else for (const way of ways.value) await one(way, first + at)
    }
  } catch (error) {
    if (!signal.aborted) {
      if (!(error instanceof ApiFailure)) throw error
      noteFailure(error)
      failure.value = error
      abort.abort()
    }
  } finally {
    isRunning.value = false
  }
}

export function stopComparing (): void { abort?.abort() }
