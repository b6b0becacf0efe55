/**
 * Writes a run's journal where its candidates live. Strategies tell of what only they know (steps, weights, guided
 * tokens); how candidates grow and end is read off them when there is something to write, so that a token costs a look
 * at the clock. Figures are exact here; `wire.ts` rounds them. Knows no strategy, no Node and no DOM.
 */
import type {
  Committed, Done, Ended, Fail, Grown, GuidedToken, Opened, RewardInForce, Scored, ScorePart, Select, Start, Step,
  TimedEntry, Weigh
} from './entries.js'

/** A candidate as the journal looks at it. */
export interface Recordable {
  readonly index: number
  readonly parent: number | null
  /** Tokens drawn, end token included. */
  readonly drawn: number
  readonly text: string
  /** Text that is certain to be part of the answer. */
  readonly certainText: string
  /** Σ ln π of its tokens, nats. */
  readonly logprob: number
  readonly finishReason: 'stop' | 'length' | null
  /** Whether a limit of the request ended it where it was. */
  readonly isCutShort: boolean
  /** Step or checkpoint at which it was dropped. */
  readonly prunedAt: number | null
  readonly score: {
    readonly value: number
    readonly rewards: Readonly<Record<string, {
      readonly raw: number, readonly standardized: number, readonly std?: number, readonly steps?: readonly number[]
    }>>
  } | null
}

export interface RecorderOptions {
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number
  /** Alternatives that guided tokens list; 0 lists none. */
  readonly alternatives?: number
  /** Whether the text and ln π of each token are told. */
  readonly pieces?: boolean
  /** Whether each guided token is told by itself, as it is drawn. */
  readonly everyToken?: boolean
}

/** Growth is told once in so many milliseconds, or later where there are many candidates. */
const [quietMs, quietMsPerCandidate] = [50, 16]
/** Fewer tokens than these of each candidate wait twice as long: told by themselves they take three times the room. */
const worthTelling = 4

/** What has been told of a candidate. */
interface Told {
  candidate: Recordable
  tokens: number
  characters: number
  logprob: number
  hasEnded: boolean
  /** Not told yet, where pieces are. */
  pieces: string[]
  lnPolicy: number[]
}

/** Whether nothing more is drawn for it, and all tokens have been told or are about to be. */
const isOver = ({ candidate: { finishReason, prunedAt, drawn }, tokens, pieces }: Told): boolean =>
  (finishReason !== null || prunedAt !== null) && tokens + pieces.length === drawn

function partOf (score: NonNullable<Recordable['score']>, name: string): ScorePart[] {
  const part = score.rewards[name]
  if (!part) return []
  const { raw, standardized, std, steps } = part
  if (steps) return [[raw, standardized, std ?? null, steps]]
  return [std === undefined ? [raw, standardized] : [raw, standardized, std]]
}

/** Records one run. */
export class Recorder {
  readonly alternatives: number
  readonly #now: () => number
  readonly #pieces: boolean
  readonly #everyToken: boolean
  readonly #began: number
  /** Candidates that may still change, by index. */
  readonly #told = new Map<number, Told>()
  #rewards: readonly RewardInForce[] = []
  #opened: Opened[] = []
  #tokens: GuidedToken[] = []
  /** Choices of which more was sent than was told. */
  readonly #sent = new Map<number, Committed>()
  #flushed: number
  /** Tokens drawn since. */
  #untold = 0
  #last = 0
  /** Entries that nobody has received yet. */
  #ready: TimedEntry[] = []
  /** Receives entries as they are made; without it they wait to be taken. */
  onEntries: ((entries: readonly TimedEntry[]) => void) | null = null

  constructor ({ now, alternatives = 0, pieces = false, everyToken = false }: RecorderOptions) {
    this.#now = now
    this.alternatives = alternatives
    this.#pieces = pieces
    this.#everyToken = everyToken
    this.#began = now()
    this.#flushed = this.#began
  }

  queued (queued: number): void { this.#write(t => ({ t, queued })) }

  start (start: Start['start']): void {
    this.#rewards = start.rewards
    this.#write(t => ({ t, start }))
  }

  /**
   * Candidates that begin with the prompt.
   * @param groupOf which tree, choice or pass each belongs to
   */
  open (candidates: readonly Recordable[], groupOf?: (index: number) => number): void {
    for (const candidate of candidates) {
      this.#follow(candidate)
      this.#opened.push(groupOf
        ? [candidate.index, null, 0, 0, groupOf(candidate.index)]
        : [candidate.index, null, 0, 0])
    }
  }

  /** A copy of a candidate, of which nothing more was drawn yet; one of the same index takes its place. */
  fork (copy: Recordable, parent: Recordable): void {
    const told = this.#told.get(parent.index)
    if (told?.candidate === parent && told.tokens !== parent.drawn) this.flush()
    this.#follow(copy)
    if (copy.index !== parent.index) {
      this.#opened.push([copy.index, parent.index, copy.drawn, copy.certainText.length])
    }
  }

  /** A token was drawn for a candidate. */
  drew (candidate: Recordable): void {
    if (this.#pieces) this.#addPiece(candidate)
    const { size } = this.#told
    const quiet = Math.max(quietMs, quietMsPerCandidate * size)
    const isMuch = ++this.#untold >= worthTelling * size
    if (this.#now() - this.#flushed >= (isMuch ? quiet : 2 * quiet)) this.flush()
  }

  /** How a token was guided. */
  token (token: GuidedToken): void {
    this.#tokens.push(token)
    if (this.#everyToken) this.flush()
  }

  /** Candidates have new scores. */
  score (candidates: readonly Recordable[]): void {
    const score = candidates.flatMap(({ index, score }): Scored[] =>
      score ? [[index, score.value, this.#rewards.flatMap(([name]) => partOf(score, name))]] : [])
    this.#write(t => ({ t, score }))
  }

  weigh (weigh: Weigh['weigh'], ess: number): void { this.#write(t => ({ t, weigh, ess })) }

  /** A step has ended: which candidates go on or may be returned, and which were dropped. */
  step (
    n: number, kept: readonly Recordable[], dropped: readonly Recordable[] = [],
    more: Pick<Step['step'], 'bound' | 'resampled'> = {}
  ): void {
    const indices = (candidates: readonly Recordable[]): number[] => candidates.map(({ index }) => index)
    this.#write(t => ({ t, step: { n, kept: indices(kept), dropped: indices(dropped), ...more } }))
  }

  select (select: Select['select']): void { this.#write(t => ({ t, select })) }

  /** Text of a choice was sent. @param characters in all @param index of the candidate, once it is known */
  sent (choice: number, characters: number, index?: number): void {
    this.#sent.set(choice, index === undefined ? [choice, characters] : [choice, characters, index])
  }

  done (done: Done['done']): void { this.#write(t => ({ t, done })) }
  fail (fail: Fail['fail']): void { this.#write(t => ({ t, fail })) }

  #follow (candidate: Recordable): void {
    const { drawn, certainText, logprob } = candidate
    this.#told.set(candidate.index, {
      candidate,
      tokens: drawn,
      characters: certainText.length,
      logprob,
      hasEnded: false,
      pieces: [],
      lnPolicy: []
    })
  }

  #addPiece ({ index, certainText, logprob }: Recordable): void {
    const told = this.#told.get(index)!
    told.pieces.push(certainText.slice(told.characters))
    told.lnPolicy.push(logprob - told.logprob)
    told.characters = certainText.length
    told.logprob = logprob
  }

  /** What has not been told of how a candidate grew. All text of one that was dropped is certain. */
  #grown (told: Told): Grown[] {
    const { candidate } = told
    const { index, drawn } = candidate
    if (this.#pieces) return this.#grownPieces(told)
    const text = candidate.prunedAt === null ? candidate.certainText : candidate.text
    const grown: Grown = [index, drawn - told.tokens, text.slice(told.characters)]
    told.tokens = drawn
    told.characters = text.length
    return grown[1] > 0 || grown[2] !== '' ? [grown] : []
  }

  #grownPieces (told: Told): Grown[] {
    const { candidate: { index, text }, pieces, lnPolicy } = told
    told.tokens += pieces.length
    told.pieces = []
    told.lnPolicy = []
    const grown: Grown[] = pieces.length > 0 ? [[index, pieces, lnPolicy]] : []
    // What nothing can take back any more, though no token follows.
    if (isOver(told) && text.length > told.characters) {
      grown.push([index, 0, text.slice(told.characters)])
      told.characters = text.length
    }
    return grown
  }

  #ended (told: Told): Ended[] {
    const { candidate: { index, finishReason, isCutShort, prunedAt, logprob } } = told
    const ended: Ended[] = []
    if (!isOver(told)) return ended
    if (finishReason && !told.hasEnded) {
      told.hasEnded = true
      ended.push([index, isCutShort ? 'budget' : finishReason, logprob])
    }
    if (prunedAt !== null) {
      this.#told.delete(index)
      ended.push([index, 'dropped', logprob, prunedAt])
    }
    return ended
  }

  /** Entries of all that changed since the last. */
  #changes (t: number): TimedEntry[] {
    const [open, tokens] = [this.#opened, this.#tokens]
    this.#opened = []
    this.#tokens = []
    const all = [...this.#told.values()]
    const grow = all.flatMap(told => this.#grown(told))
    const end = all.flatMap(told => this.#ended(told))
    const commit = [...this.#sent.values()]
    this.#sent.clear()
    return [
      ...open.length > 0 ? [{ t, open }] : [],
      ...grow.length > 0 ? [{ t, grow }] : [],
      ...tokens.map(token => ({ t, token })),
      ...end.length > 0 ? [{ t, end }] : [],
      ...commit.length > 0 ? [{ t, commit }] : []
    ]
  }

  /** Writes what has changed since the last entry. */
  flush (): void { this.#write() }

  /** The entries that wait to be taken. */
  take (): TimedEntry[] {
    const entries = this.#ready
    this.#ready = []
    return entries
  }

  /** Writes what has changed and then, perhaps, an entry. */
  #write (entry?: (t: number) => TimedEntry): void {
    this.#flushed = this.#now()
    this.#untold = 0
    // A clock is not trusted to count up in whole milliseconds.
    this.#last = Math.max(this.#last, Math.round(this.#flushed - this.#began))
    const entries = this.#changes(this.#last)
    if (entry) entries.push(entry(this.#last))
    if (entries.length === 0) return
    if (this.onEntries) this.onEntries(entries)
    else this.#ready.push(...entries)
  }
}
