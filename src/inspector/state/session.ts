/**
 * One run: asked for, watched while it goes on, replayed. Entries of its journal come in; the run that they fold to is
 * changed in place, and `shown` says when.
 */
import { batch, signal } from '@preact/signals'
import type { Entry } from '../../journal/entries.js'
import { Folding, type Run } from '../../journal/fold.js'
import { streamedBody, type ChatBody } from '../logic/request.js'
import { noteFailure } from '../server/connection.js'
import { ApiFailure, events } from '../server/http.js'

/** `asking` until the server says something; `lost` where the connection ended first. */
export type Phase = 'idle' | 'asking' | 'running' | 'done' | 'stopped' | 'failed' | 'lost'

interface JournalChunk { readonly journal?: readonly Entry[] }

/** How often what is shown follows what has come, ms. */
const showEveryMs = 80

export class Session {
  readonly phase = signal<Phase>('idle')
  readonly failure = signal<ApiFailure | null>(null)
  /** Entries that are shown; null for all. */
  readonly position = signal<number | null>(null)
  /** Candidate that is looked at; null for the chosen one, or the first. */
  readonly selected = signal<number | null>(null)
  /** The file it was read from; null for one that was asked for here. */
  readonly file = signal<string | null>(null)
  /** Whether a run is there to be looked at. */
  readonly hasRun = signal(false)
  #entries: Entry[] = []
  #folding = new Folding()
  #folded = 0
  /** The run at the position shown: another object whenever the run has changed. */
  readonly shown = signal<{ readonly run: Run }>({ run: this.#folding.run })
  #abort: AbortController | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  /** When it was asked for, by this page's clock; null for one that somebody else asked for. */
  #asked: number | null = null
  /** When its last entries came, by this page's clock. */
  #came = 0

  /** The same, for those who need not follow it. */
  get run (): Run { return this.#folding.run }
  get entries (): readonly Entry[] { return this.#entries }
  /** Milliseconds of a live run: those of its last entry, and what has passed since that came. */
  get now (): number {
    const last = this.#entries.at(-1)
    return (last && 't' in last ? last.t : 0) + performance.now() - this.#came
  }

  /** Milliseconds since it was asked for; null for a run that somebody else asked for. */
  get waited (): number | null { return this.#asked === null ? null : performance.now() - this.#asked }
  get isLive (): boolean { return this.phase.value === 'asking' || this.phase.value === 'running' }

  #reset (entries: readonly Entry[], phase: Phase): void {
    this.#abort?.abort()
    this.#abort = null
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#entries = [...entries]
    batch(() => {
      this.phase.value = phase
      this.failure.value = null
      this.position.value = null
      this.selected.value = null
      this.file.value = null
      this.hasRun.value = entries.length > 0
      this.#refold(entries.length)
    })
  }

  /** Folds up to a number of entries: onwards from where it stands, or from the first. */
  #refold (end: number): void {
    if (end < this.#folded || this.#folded === 0) {
      this.#folding = new Folding()
      this.#folded = 0
    }
    for (const entry of this.#entries.slice(this.#folded, end)) this.#folding.add(entry)
    this.#folded = end
    this.shown.value = { run: this.#folding.run }
  }

  #show (): void {
    this.#timer = undefined
    if (this.position.value === null) this.#refold(this.#entries.length)
  }

  #take (entries: readonly Entry[]): void {
    this.#entries.push(...entries)
    this.#came = performance.now()
    this.hasRun.value = true
    this.#timer ??= setTimeout(() => { this.#show() }, showEveryMs)
  }

  /** Shows the run as it was after so many entries; null for its end. */
  seek (position: number | null): void {
    batch(() => {
      this.position.value = position !== null && position >= this.#entries.length ? null : position
      this.#refold(this.position.value ?? this.#entries.length)
    })
  }

  /** Opens entries that were recorded. @param file name of the file they are from */
  open (entries: readonly Entry[], file: string | null = null): void {
    const last = entries.at(-1)
    this.#reset(entries, last && 'fail' in last ? 'failed' : 'done')
    this.file.value = file
  }

  clear (): void { this.#reset([], 'idle') }

  /** Ends the run; what was drawn stays. */
  stop (): void {
    if (!this.isLive) return
    this.phase.value = 'stopped'
    this.#abort?.abort()
  }

  #end (phase: Phase): void {
    clearTimeout(this.#timer)
    batch(() => {
      this.#show()
      this.phase.value = phase
    })
  }

  /**
   * Asks for a run and follows it to its end. A run before it is ended. A failure is in `failure`, not thrown.
   * @param branch the run that this one goes on from
   */
  async start (body: ChatBody, branch?: object): Promise<void> {
    await this.#watch(performance.now(), async function * (signal) {
      for await (const { journal = [] } of
        events<JournalChunk>('/v1/chat/completions', streamedBody(body), signal)) {
        yield branch ? journal.map(one => 'journal' in one ? { ...one, branch } as Entry : one) : journal
      }
    })
  }

  /** Follows a run that the server keeps, whoever asked for it, to its end. */
  async follow (id: string): Promise<void> {
    await this.#watch(null, async function * (signal) {
      for await (const entry of events<Entry>(`/v1/runs/${encodeURIComponent(id)}?follow=true`, null, signal)) {
        yield [entry]
      }
    })
  }

  async #watch (
    asked: number | null, read: (signal: AbortSignal) => AsyncIterable<readonly Entry[]>
  ): Promise<void> {
    this.#asked = asked
    this.#reset([], 'asking')
    const abort = this.#abort = new AbortController()
    try {
      for await (const entries of read(abort.signal)) {
        if (entries.length === 0) continue
        if (this.phase.value === 'asking') this.phase.value = 'running'
        this.#take(entries)
      }
      const last = this.#entries.at(-1)
      if (this.#abort === abort) this.#end(last && 'fail' in last ? 'failed' : 'done')
    } catch (error) {
      if (this.#abort !== abort) return
      if (abort.signal.aborted) return this.#end('stopped')
      const failure = error instanceof ApiFailure ? error : new ApiFailure('internal_error', String(error))
      noteFailure(failure)
      this.failure.value = failure
      this.#end(failure.code === 'network' && this.#entries.length > 0 ? 'lost' : 'failed')
    }
  }
}
