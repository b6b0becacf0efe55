/**
 * What a journal costs: the same request answered with one and without, in turns; and the time that recorder and writer
 * take within the turns with one, which is too little to be seen between two turns of a machine that does other work.
 */
import { parseAlignment } from '../decoding/strategies/parse-alignment.js'
import type { Entry } from '../journal/entries.js'
import { Recorder } from '../journal/recorder.js'
import { JournalWriter, lineOf } from '../journal/wire.js'
import { plainSampling } from '../policies/sampling-params.js'
import { generate } from '../serving/run-request.js'
import type { LocalModel } from '../serving/served-models.js'

/** Has methods of some classes add up the time they take, calls within calls once. @returns stops it: ms so far */
function stopwatch (classes: ReadonlyArray<{ readonly prototype: object }>): () => number {
  let [depth, since, total] = [0, 0, 0]
  const timed = (method: (...given: unknown[]) => unknown) => function (this: unknown, ...given: unknown[]): unknown {
    if (depth++ === 0) since = performance.now()
    try {
      return method.apply(this, given)
    } finally {
      if (--depth === 0) total += performance.now() - since
    }
  }
  const kept = classes.map(({ prototype }) => [prototype, Object.getOwnPropertyDescriptors(prototype)] as const)
  for (const [prototype, methods] of kept) {
    for (const [name, { value }] of Object.entries<PropertyDescriptor>(methods)) {
      if (name !== 'constructor' && typeof value === 'function') {
        Object.defineProperty(prototype, name, { ...methods[name as keyof typeof methods], value: timed(value) })
      }
    }
  }
  return () => {
    for (const [prototype, methods] of kept) Object.defineProperties(prototype, methods)
    return total
  }
}

/** One turn. */
export interface JournalTurn {
  readonly ms: number
  /** Of that in recorder and writer. */
  readonly journalMs: number
  /** Of the journal in a file. */
  readonly bytes: number
}

interface TurnOptions { readonly candidates: number, readonly tokens: number }

/** Answers a best-of-n request as the server's inference thread does, all candidates to their full length. */
async function answer (
  served: LocalModel, prompt: readonly number[], { candidates, tokens }: TurnOptions, isRecorded: boolean
): Promise<JournalTurn> {
  const entries: Entry[] = []
  const stop = stopwatch([Recorder, JournalWriter])
  const started = performance.now()
  for await (const event of generate(served, {
    model: served.model.id,
    prompt: { tokens: prompt },
    promptLogprobs: null,
    bestOf: null,
    skipSpecialTokens: true,
    n: 1,
    seed: 1,
    cacheSalt: '',
    grammar: null,
    alignment: parseAlignment({ strategy: 'best_of_n', num_candidates: candidates, reward: 'length' }),
    sampling: { ...plainSampling, maxTokens: tokens, ignoreEos: true },
    journal: isRecorded ? { alternatives: 0, pieces: false } : null
  }, new AbortController().signal)) if (event.type === 'journal') entries.push(...event.entries)
  const ms = performance.now() - started
  const bytes = entries.reduce((sum, entry) => sum + Buffer.byteLength(lineOf(entry)), 0)
  return { ms, journalMs: stop(), bytes }
}

/** The same request without a journal and with one, in turns; which goes first alternates. */
export async function journalTurns (
  served: LocalModel, prompt: readonly number[], { repeat, ...options }: TurnOptions & { readonly repeat: number }
): Promise<{ off: JournalTurn[], on: JournalTurn[] }> {
  const turn = (isRecorded: boolean): Promise<JournalTurn> => answer(served, prompt, options, isRecorded)
  // Reads the prompt, which is cached from then on, and compiles.
  for (const isRecorded of [false, true]) await turn(isRecorded)
  const turns: { off: JournalTurn[], on: JournalTurn[] } = { off: [], on: [] }
  for (let count = 0; count < repeat; count++) {
    for (const isRecorded of count % 2 === 0 ? [false, true] : [true, false]) {
      turns[isRecorded ? 'on' : 'off'].push(await turn(isRecorded))
    }
  }
  return turns
}
