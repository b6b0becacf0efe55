/**
 * Finds a tokenizer's added tokens in texts, as the Rust tokenizers library does: the longest that begins at a place,
 * whole words only where one asks for it, with the whitespace beside it that it takes along. A control token counts
 * only where the whole of it was written by a template.
 */

/** A token that texts are cut at before anything is merged. Fields as in tokenizer.json. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  /** Whether only templates make it. */
  readonly control: boolean
  readonly lstrip: boolean
  readonly rstrip: boolean
  readonly singleWord: boolean
  /** Whether it is looked for after texts are normalised. */
  readonly normalized: boolean
}

/** From, and up to where, a text is by a caller; in order, apart from each other. */
export type CallerRanges = ReadonlyArray<readonly [from: number, to: number]>

const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Matches one of the texts, the longest first; nothing where there are none. */
const anyOf = (tokens: ReadonlyMap<string, AddedToken>): RegExp => new RegExp(tokens.size === 0
  ? '(?!)'
  : [...tokens.keys()].sort((a, b) => b.length - a.length).map(escape).join('|'), 'g')

const word = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]'
const startsWithWord = new RegExp(`^${word}`, 'u')
const endsWithWord = new RegExp(`${word}$`, 'u')
const space = /\p{White_Space}/u

/** The code points beside a place, whole: two units are enough. */
const [before, behind] = [(text: string, at: number): string => text.slice(Math.max(0, at - 2), at),
  (text: string, at: number): string => text.slice(at, at + 2)]

/** Where a text's last whitespace before a place begins; all whitespace is one unit long. */
function spaceBefore (text: string, at: number, least: number): number {
  while (at > least && space.test(text[at - 1]!)) at--
  return at
}

function spaceBehind (text: string, at: number): number {
  while (at < text.length && space.test(text[at]!)) at++
  return at
}

/** The index of the first range that ends behind a place. */
function firstBehind (ranges: CallerRanges, at: number): number {
  let [low, high] = [0, ranges.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (ranges[middle]![1] <= at) low = middle + 1
    else high = middle
  }
  return low
}

/** Whether a part of a text is, in part, by a caller. */
function isCallers (ranges: CallerRanges, from: number, to: number): boolean {
  const range = ranges[firstBehind(ranges, from)]
  return range !== undefined && range[0] < to
}

/** Tokens of one pass over a text. */
class Finder {
  readonly #tokens: ReadonlyMap<string, AddedToken>
  readonly #all: RegExp
  readonly #plain: RegExp

  constructor (tokens: readonly AddedToken[]) {
    const named = (of: readonly AddedToken[]): ReadonlyMap<string, AddedToken> =>
      new Map(of.map(token => [token.content, token]))
    this.#tokens = named(tokens)
    this.#all = anyOf(this.#tokens)
    this.#plain = new RegExp(anyOf(named(tokens.filter(({ control }) => !control))).source, 'y')
  }

  /** The first token at or behind a place that may stand there. */
  #find (text: string, from: number, callers: CallerRanges): { token: AddedToken, at: number } | null {
    for (;;) {
      this.#all.lastIndex = from
      const found = this.#all.exec(text)
      if (!found) return null
      const token = this.#tokens.get(found[0])!
      const at = found.index
      if (!token.control || !isCallers(callers, at, at + token.content.length)) return { token, at }
      this.#plain.lastIndex = at
      const plain = this.#plain.exec(text)
      if (plain) return { token: this.#tokens.get(plain[0])!, at }
      from = at + 1
    }
  }

  /** Calls back with the text between tokens, by its places, and with tokens, in order. */
  cut (
    text: string, callers: CallerRanges, onText: (from: number, to: number) => void, onToken: (id: number) => void
  ): void {
    let done = 0
    let from = 0
    for (let found = this.#find(text, from, callers); found; found = this.#find(text, from, callers)) {
      const { token, at } = found
      from = at + token.content.length
      if (token.singleWord && (endsWithWord.test(before(text, at)) || startsWithWord.test(behind(text, from)))) continue
      const start = token.lstrip ? spaceBefore(text, at, done) : at
      if (done < start) onText(done, start)
      onToken(token.id)
      done = token.rstrip ? spaceBehind(text, from) : from
    }
    if (done < text.length) onText(done, text.length)
  }
}

/** The ranges of a part of a text, counted from where it begins. */
function within (ranges: CallerRanges, from: number, to: number): CallerRanges {
  const inside: Array<[number, number]> = []
  for (let index = firstBehind(ranges, from); index < ranges.length && ranges[index]![0] < to; index++) {
    const [start, end] = ranges[index]!
    inside.push([Math.max(start, from) - from, Math.min(end, to) - from])
  }
  return inside
}

/** Normalises a text, its caller's parts and the others each by itself where that changes it. */
function normalizedParts (
  text: string, callers: CallerRanges, normalize: (text: string) => string
): { text: string, callers: CallerRanges } {
  const whole = normalize(text)
  if (whole === text || callers.length === 0) return { text: whole, callers }
  const parts: string[] = []
  const ranges: Array<[number, number]> = []
  let [length, at] = [0, 0]
  const add = (part: string): void => { length += parts[parts.push(normalize(part)) - 1]!.length }
  for (const [from, to] of callers) {
    add(text.slice(at, from))
    const start = length
    add(text.slice(from, to))
    ranges.push([start, length])
    at = to
  }
  add(text.slice(at))
  return { text: parts.join(''), callers: ranges }
}

/** Cuts texts at added tokens, and normalises what is between them. */
export class AddedTokens {
  readonly #raw: Finder
  readonly #normalized: Finder
  readonly #normalize: (text: string) => string

  /** @param normalize default: texts stay as they are */
  constructor (tokens: readonly AddedToken[], normalize: (text: string) => string = text => text) {
    const named = tokens.filter(({ content }) => content !== '')
    this.#raw = new Finder(named.filter(({ normalized }) => !normalized))
    this.#normalized = new Finder(named.filter(({ normalized }) => normalized)
      .map(token => ({ ...token, content: normalize(token.content) })))
    this.#normalize = normalize
  }

  /**
   * Calls back with the normalised text between tokens, and with tokens, in order.
   * @param callers what of the text was written by callers: all of it where no control token is wanted
   */
  cut (
    text: string, callers: CallerRanges, onText: (text: string) => void, onToken: (id: number) => void
  ): void {
    this.#raw.cut(text, callers, (from, to) => {
      const part = normalizedParts(text.slice(from, to), within(callers, from, to), this.#normalize)
      this.#normalized.cut(part.text, part.callers,
        (start, end) => { onText(part.text.slice(start, end)) }, onToken)
    }, onToken)
  }
}
