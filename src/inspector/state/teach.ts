/** Data sets of ratings, kept in this browser; the pairs to be rated next; fits. */
import { computed, signal } from '@preact/signals'
import {
  emptySet, fitPairs, keptForCheck, promptsOf, type Fitted, type Rating, type RatingSet
} from '../logic/ratings.js'
import type { RewardCard } from '../logic/api-types.js'
import { drawAnswers, randomSeed, scoreAnswers } from '../server/answers.js'
import { loadLists } from '../server/connection.js'
import { ApiFailure, events } from '../server/http.js'
import { baseModel } from './model.js'
import { route } from './router.js'
import { readAll, remove, write } from './storage.js'

export const sets = signal<readonly RatingSet[]>([])
/** Whether the sets of this browser have been read. */
export const setsLoaded = signal(false)
/** Why ratings cannot be kept; '' where they can. */
export const storageProblem = signal('')

export async function loadSets (): Promise<void> {
  if (setsLoaded.value) return
  try {
    sets.value = await readAll<RatingSet>('sets')
  } catch (error) {
    storageProblem.value = `Ratings cannot be kept in this browser (${(error as Error).message}); export them before ` +
      'you leave.'
  }
  setsLoaded.value = true
}

/** The set that the address names, or the first; one that is new where there is none. */
export const currentSet = computed<RatingSet>(() => {
  const { view, name } = route.value
  const named = view === 'teach' ? name : null
  return sets.value.find(set => set.name === named) ?? (named === null ? sets.value[0] : undefined) ??
    emptySet(named ?? 'mine')
})

/** Keeps a set as it is now. */
export function saveSet (set: RatingSet): void {
  sets.value = [...sets.value.filter(({ name }) => name !== set.name), set].sort((a, b) => a.name < b.name ? -1 : 1)
  write('sets', set.name, set).catch((error: unknown) => {
    storageProblem.value = `This could not be kept in this browser: ${String(error)}`
  })
}

export const changeSet = (changes: Partial<RatingSet>): void => { saveSet({ ...currentSet.value, ...changes }) }

export async function deleteSet (name: string): Promise<void> {
  sets.value = sets.value.filter(set => set.name !== name)
  await remove('sets', name)
}

/** The version of the reward that is on the server; null before the first fit. */
export const currentVersion = computed(() => currentSet.value.fits.at(-1)?.version ?? null)

/** A pair that is to be rated. */
export type Drawn = Pick<Rating, 'prompt' | 'left' | 'right' | 'seed' | 'predicted'>

export const answerTokens = signal(96)

/** Draws a pair of different answers. @throws ApiFailure */
async function drawPair (prompt: string, abort: AbortSignal): Promise<Drawn> {
  const messages = [{ role: 'user', content: prompt }]
  const [model, version, reward] = [baseModel.value, currentVersion.value, currentSet.value.name]
  for (let attempt = 0; attempt < 4; attempt++) {
    const seed = randomSeed()
    const texts = await drawAnswers(
      { model, messages, n: 2, maxTokens: answerTokens.value, seed, alignment: null, priority: 10 }, abort)
    const [left = '', right = ''] = Math.random() < 0.5 ? texts : texts.reverse()
    if (left.trim() === right.trim() || left.trim() === '' || right.trim() === '') continue
    if (version === null) return { prompt, left, right, seed }
    const [a = 0, b = 0] = await scoreAnswers(model, [{ name: reward, weight: 1 }], messages, [left, right])
    return { prompt, left, right, seed, predicted: { version, side: a >= b ? 'left' : 'right' } }
  }
  throw new ApiFailure('no_pair', `The model gives the same answer each time to “${prompt}”. Take another prompt out of ` +
    'the list, or allow more tokens.')
}

/** Prompts that are not kept for the check, those that were rated least first, in random order among equals. */
function nextPrompt (set: RatingSet, also: readonly string[]): string {
  const { prompts, ratings } = set
  const kept = keptForCheck(set)
  const counts = new Map(prompts.filter(prompt => !kept.has(prompt)).map(prompt => [prompt, 0]))
  for (const prompt of [...ratings.map(one => one.prompt), ...also]) {
    if (counts.has(prompt)) counts.set(prompt, counts.get(prompt)! + 1)
  }
  const fewest = Math.min(...counts.values())
  const candidates = [...counts.keys()].filter(prompt => counts.get(prompt) === fewest)
  return candidates[Math.floor(Math.random() * candidates.length)]!
}

/** Pairs drawn ahead, so that nobody waits; none is drawn while the page is hidden. */
export class PairQueue {
  readonly pair = signal<Drawn | null>(null)
  readonly failure = signal<ApiFailure | null>(null)
  readonly #ahead: Array<Promise<Drawn>> = []
  readonly #asked: string[] = []
  readonly #abort = new AbortController()

  /** Pairs that are drawn before they are needed. */
  static readonly depth = 2

  #fill (): void {
    while (this.#ahead.length < PairQueue.depth && !document.hidden && !this.#abort.signal.aborted) {
      const prompt = nextPrompt(currentSet.value, this.#asked)
      this.#asked.push(prompt)
      const drawn = drawPair(prompt, this.#abort.signal)
      drawn.catch(() => {})
      this.#ahead.push(drawn)
    }
  }

  /** Shows the next pair, once it is there. */
  async next (): Promise<void> {
    this.pair.value = null
    this.failure.value = null
    this.#fill()
    try {
      const first = this.#ahead.shift()
      const drawn = await first
      if (this.#abort.signal.aborted || !drawn) return
      this.pair.value = drawn
      this.#fill()
    } catch (error) {
      if (this.#abort.signal.aborted) return
      this.#ahead.length = 0
      this.failure.value = error instanceof ApiFailure ? error : new ApiFailure('internal_error', String(error))
    }
  }

  /** Shows a pair again. */
  showAgain (pair: Drawn): void {
    if (this.pair.value) this.#ahead.unshift(Promise.resolve(this.pair.value))
    this.pair.value = pair
  }

  close (): void { this.#abort.abort() }
}

/** How far a fit is. */
export interface FitProgress { readonly phase: string, readonly share: number }

export interface FitOptions { readonly directions: number | null, readonly qHead: boolean }

type FitFrame = Partial<RewardCard> & {
  readonly object: string
  readonly phase?: string
  readonly done?: number
  readonly total?: number
}

/** Fits the current set's reward and keeps the fit's place in the set. @returns its card @throws ApiFailure */
export async function fitSet (
  { directions, qHead }: FitOptions, onProgress: (progress: FitProgress) => void, abort: AbortSignal
): Promise<RewardCard> {
  const set = currentSet.value
  const pairs = fitPairs(set)
  const began = performance.now()
  let card: RewardCard | null = null
  const body = {
    model: baseModel.value,
    name: set.name,
    description: set.taste.trim() === '' ? 'taught in the inspector' : set.taste.trim().slice(0, 1000),
    replace: set.fits.length > 0,
    data: `ratings in the inspector: ${set.name}`,
    examples: pairs,
    ...(directions === null ? {} : { directions }),
    ...(qHead ? { q_head: true } : {}),
    stream: true
  }
  for await (const frame of events<FitFrame>('/v1/rewards/fit', body, abort)) {
    if (frame.object === 'reward.fit.progress') {
      onProgress({ phase: frame.phase ?? '', share: (frame.done ?? 0) / (frame.total || 1) })
    } else if (frame.object === 'reward') card = frame as unknown as RewardCard
  }
  if (!card) throw new ApiFailure('network', 'The fit ended without a reward')
  const fitted: Fitted = {
    version: (set.fits.at(-1)?.version ?? 0) + 1,
    created: Math.floor(Date.now() / 1000),
    pairs: pairs.length,
    prompts: promptsOf(pairs),
    seconds: (performance.now() - began) / 1000
  }
  saveSet({ ...currentSet.value, fits: [...currentSet.value.fits, fitted] })
  await loadLists()
  return card
}
