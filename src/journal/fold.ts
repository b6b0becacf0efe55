/** From the entries of a journal to the run as it stands after them. Pure and linear; knows no Node and no DOM. */
import type {
  Committed, Done, Ended, EndReason, Entry, Fail, Grown, GuidedToken, Head, Opened, Scored, ScorePart, Select, Start,
  Step, TimedEntry, Weigh
} from './entries.js'

/** One candidate as it stands. What it shares with its parent is in its text and its tokens. */
export interface Lineage {
  readonly index: number
  /** The candidate it was forked from; null for one that begins with the prompt. */
  readonly parent: number | null
  /** Tokens and characters that it shares with its parent. */
  readonly at: number
  readonly characters: number
  /** Tree, choice or pass; null for none. */
  readonly group: number | null
  /** Milliseconds at which it began. */
  readonly opened: number
  readonly tokens: number
  readonly text: string
  /** As it was scored last; null while it was not. */
  readonly reward: number | null
  readonly parts: readonly ScorePart[]
  /** Every score: after how many tokens, and what. A fork's begin with its own. */
  readonly scores: ReadonlyArray<readonly [tokens: number, reward: number]>
  /** Of a particle, as it was weighed last. */
  readonly weight: number | null
  /** Why its answer ended; null while it goes on. */
  readonly ended: Exclude<EndReason, 'dropped'> | null
  /** Step or checkpoint at which it was dropped, as `pruned_at` tells it; null for one that was not. */
  readonly droppedAt: number | null
  /** Σ ln π of its tokens, nats, once nothing more is drawn for it. */
  readonly lnPolicy: number | null
  /** Its own tokens' texts and ln π, where the journal has them. */
  readonly pieces: readonly string[]
  readonly pieceLnPolicy: readonly number[]
  /** Its own guided tokens. */
  readonly guided: readonly GuidedToken[]
}

/** A candidate and its reward when a step ended; null for one that was not scored. */
export type Rewarded = readonly [index: number, reward: number | null]

/** One step. */
export interface RunStep extends Pick<Step['step'], 'n' | 'bound' | 'resampled'> {
  readonly t: number
  readonly kept: readonly Rewarded[]
  readonly dropped: readonly Rewarded[]
  /** Effective sample size of the particles weighed in it; null where none were. */
  readonly ess: number | null
}

/** One choice: what has been sent of it. */
export interface CommittedChoice {
  readonly characters: number
  /** The candidate; null while it is not known. */
  readonly index: number | null
}

/** `accepted` before the first entry says more. */
export type RunState = 'accepted' | 'waiting' | 'running' | 'selected' | 'done' | 'failed'

/** A run as its journal tells it. */
export interface Run {
  readonly head: Head | null
  readonly state: RunState
  /** Milliseconds of the last entry. */
  readonly t: number
  /** Requests that waited before it; null where that was not told. */
  readonly queued: number | null
  readonly start: Start['start'] | null
  readonly candidates: ReadonlyMap<number, Lineage>
  readonly steps: readonly RunStep[]
  readonly select: Select['select'] | null
  readonly choices: readonly CommittedChoice[]
  readonly done: Done['done'] | null
  readonly fail: Fail['fail'] | null
  /** Entries that are missing: 0 for a journal that is whole. */
  readonly missing: number
  readonly notes: ReadonlyArray<Readonly<Record<string, unknown>>>
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type GrowingLineage = Mutable<Omit<Lineage, 'scores' | 'pieces' | 'pieceLnPolicy' | 'guided'>> & {
  readonly scores: Array<readonly [number, number]>
  readonly pieces: string[]
  readonly pieceLnPolicy: number[]
  readonly guided: GuidedToken[]
}
type GrowingRun = Mutable<Omit<Run, 'candidates' | 'steps' | 'choices' | 'notes'>> & {
  readonly candidates: Map<number, GrowingLineage>
  readonly steps: RunStep[]
  readonly choices: CommittedChoice[]
  readonly notes: Array<Readonly<Record<string, unknown>>>
}

/** Follows a journal entry by entry. */
export class Folding {
  readonly #run: GrowingRun = {
    head: null,
    state: 'accepted',
    t: 0,
    queued: null,
    start: null,
    candidates: new Map(),
    steps: [],
    select: null,
    choices: [],
    done: null,
    fail: null,
    missing: 0,
    notes: []
  }

  /** Of the particles weighed since the last step. */
  #ess: number | null = null

  /** The run after the entries so far: changed in place by the next. */
  get run (): Run { return this.#run }

  add (entry: Entry): void {
    const run = this.#run
    if ('journal' in entry) {
      run.head = entry
      return
    }
    run.t = entry.t
    if ('grow' in entry) this.#grow(entry.grow)
    else if ('token' in entry) this.#token(entry.token)
    else if ('score' in entry) this.#score(entry.score)
    else if ('open' in entry) for (const one of entry.open) this.#open(one, entry.t)
    else if ('step' in entry) this.#step(entry)
    else if ('end' in entry) this.#end(entry.end)
    else if ('weigh' in entry) this.#weigh(entry)
    else if ('commit' in entry) this.#commit(entry.commit)
    else this.#rare(entry)
  }

  #commit (committed: readonly Committed[]): void {
    for (const [choice, characters, index = null] of committed) this.#run.choices[choice] = { characters, index }
  }

  /** Kinds of which there is one entry, or few. Unknown ones are skipped. */
  #rare (entry: TimedEntry): void {
    const run = this.#run
    if ('queued' in entry) [run.state, run.queued] = ['waiting', entry.queued]
    else if ('start' in entry) [run.state, run.start] = ['running', entry.start]
    else if ('select' in entry) [run.state, run.select] = ['selected', entry.select]
    else if ('done' in entry) [run.state, run.done] = ['done', entry.done]
    else if ('fail' in entry) [run.state, run.fail] = ['failed', entry.fail]
    else if ('gap' in entry) run.missing += entry.gap
    else if ('note' in entry) run.notes.push(entry.note)
  }

  #open ([index, parentIndex, at, characters, group]: Opened, opened: number): void {
    const parent = parentIndex === null ? undefined : this.#run.candidates.get(parentIndex)
    this.#run.candidates.set(index, {
      index,
      parent: parentIndex,
      at,
      characters,
      group: group ?? parent?.group ?? null,
      opened,
      tokens: at,
      text: parent?.text.slice(0, characters) ?? '',
      reward: null,
      parts: [],
      scores: [],
      weight: null,
      ended: null,
      droppedAt: null,
      lnPolicy: null,
      pieces: [],
      pieceLnPolicy: [],
      guided: []
    })
  }

  /** Candidates that an entry tells of and the journal knows. In one with a gap some may be unknown. */
  * #known<T extends readonly [index: number, ...unknown[]]> (
    entries: readonly T[]
  ): Generator<readonly [GrowingLineage, T]> {
    for (const entry of entries) {
      const lineage = this.#run.candidates.get(entry[0])
      if (lineage) yield [lineage, entry]
    }
  }

  #grow (grown: readonly Grown[]): void {
    for (const [lineage, [, added, text]] of this.#known(grown)) {
      if (typeof added === 'number') {
        lineage.tokens += added
        lineage.text += text as string
        continue
      }
      lineage.tokens += added.length
      lineage.text += added.join('')
      lineage.pieces.push(...added)
      lineage.pieceLnPolicy.push(...text as readonly number[])
    }
  }

  #score (scored: readonly Scored[]): void {
    for (const [lineage, [, reward, parts]] of this.#known(scored)) {
      lineage.reward = reward
      lineage.parts = parts
      lineage.scores.push([lineage.tokens, reward])
    }
  }

  #token (token: GuidedToken): void {
    const lineage = this.#run.candidates.get(token[0])
    if (!lineage) return
    lineage.guided.push(token)
    const [, at, , , , , , , reward] = token
    if (reward === undefined) return
    lineage.reward = reward
    if (reward !== null) lineage.scores.push([at + 1, reward])
  }

  #weigh ({ weigh, ess }: Weigh): void {
    for (const [lineage, [, weight]] of this.#known(weigh)) lineage.weight = weight
    this.#ess = ess
  }

  #step ({ t, step: { kept, dropped, ...step } }: Step): void {
    const rewarded = (indices: readonly number[]): Rewarded[] =>
      indices.map(index => [index, this.#run.candidates.get(index)?.reward ?? null])
    this.#run.steps.push({ ...step, t, kept: rewarded(kept), dropped: rewarded(dropped), ess: this.#ess })
    this.#ess = null
  }

  #end (ended: readonly Ended[]): void {
    for (const [lineage, [, reason, lnPolicy, at]] of this.#known(ended)) {
      lineage.lnPolicy = lnPolicy
      if (reason === 'dropped') lineage.droppedAt = at ?? null
      else lineage.ended = reason
    }
  }
}

/** The run as it stands after entries. */
export function fold (entries: Iterable<Entry>): Run {
  const folding = new Folding()
  for (const entry of entries) folding.add(entry)
  return folding.run
}
