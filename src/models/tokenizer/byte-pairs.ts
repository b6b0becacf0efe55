/**
 * Byte pairs: a word's bytes → tokens, neighbours merged by rank. Near-linear in the word's length, whatever is in it:
 * pairs wait in a heap.
 */

/** GPT-2's printable stand-ins: the character that a vocabulary writes each byte with. */
export const byteCharacters: readonly string[] = (() => {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++))
})()

/** The byte that each stand-in is for. */
export const bytesOfCharacters: ReadonlyMap<string, number> =
  new Map(byteCharacters.map((character, byte) => [character, byte]))

/** What byte pairs are merged by. Texts are in the byte alphabet. */
export interface BytePairOptions {
  readonly vocabulary: ReadonlyMap<string, number>
  /** From the first to be merged to the last. */
  readonly merges: ReadonlyArray<readonly [left: string, right: string]>
  /** Whether a word that is a token is that token, whatever its merges. */
  readonly ignoresMerges: boolean
  /** What bytes without a token become; null: nothing, as in the Rust tokenizer. */
  readonly unknown: number | null
  /** Tokens that no text becomes. */
  readonly control: ReadonlySet<number>
}

/** Words of at most so many characters are remembered, and so many of them. */
const [cachedLength, cachedWords] = [48, 20_000]

/** Numbers, the least of them first. */
class Heap {
  readonly #items: number[] = []

  get isEmpty (): boolean { return this.#items.length === 0 }

  push (item: number): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (items[parent]! <= item) break
      items[at] = items[parent]!
      at = parent
    }
    items[at] = item
  }

  pop (): number {
    const items = this.#items
    const [least, item] = [items[0]!, items.pop()!]
    const size = items.length
    if (size === 0) return least
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && items[child + 1]! < items[child]!) child++
      if (items[child]! >= item) break
      items[at] = items[child]!
      at = child
    }
    items[at] = item
    return least
  }
}

/** Ranks and places share a number in the heap: rank × this + place. */
const places = 2 ** 30

const utf8 = new TextEncoder()

/** Encodes words by the merges of one vocabulary. */
export class BytePairs {
  readonly #byteTokens: Int32Array
  readonly #ranks = new Map<number, number>()
  readonly #merged: number[] = []
  readonly #wholeWords: ReadonlyMap<string, number> | null
  readonly #longest: number
  readonly #size: number
  readonly #cache = new Map<string, readonly number[]>()

  /** @throws Error that says which merge has a part, or a result, that is no token */
  constructor ({ vocabulary, merges, ignoresMerges, unknown, control }: BytePairOptions) {
    this.#size = 1 + [...vocabulary.values()].reduce((most, id) => Math.max(most, id), 0)
    this.#byteTokens = Int32Array.from(byteCharacters, character => vocabulary.get(character) ?? unknown ?? -1)
    for (const [left, right] of merges) {
      const [first, second, whole] = [left, right, left + right].map(text => vocabulary.get(text))
      if (first === undefined || second === undefined || whole === undefined) {
        throw new Error(`the merge of ${JSON.stringify(left)} and ${JSON.stringify(right)} has no token`)
      }
      if (!control.has(whole)) this.#ranks.set(first * this.#size + second, this.#merged.length)
      this.#merged.push(whole)
    }
    const words = [...vocabulary].filter(([, id]) => !control.has(id))
    this.#wholeWords = ignoresMerges ? new Map(words) : null
    this.#longest = words.reduce((most, [text]) => Math.max(most, text.length), 0)
  }

  /** Adds a word's tokens to a list. */
  encode (word: string, tokens: number[]): void {
    const known = this.#cache.get(word)
    const ids = known ?? this.#merge(word)
    for (const id of ids) tokens.push(id)
    if (known || word.length > cachedLength) return
    if (this.#cache.size >= cachedWords) this.#cache.clear()
    this.#cache.set(word, ids)
  }

  #merge (word: string): readonly number[] {
    const bytes = utf8.encode(word)
    if (this.#wholeWords && bytes.length <= this.#longest) {
      const whole = this.#wholeWords.get(Array.from(bytes, byte => byteCharacters[byte]!).join(''))
      if (whole !== undefined) return [whole]
    }
    const ids = Int32Array.from(bytes, byte => this.#byteTokens[byte]!).filter(id => id >= 0)
    return ids.length < 2 ? [...ids] : this.#mergeAll(ids)
  }

  /** The rank of the pair at a place and the one behind it; undefined if they do not merge. */
  #rank (ids: Int32Array, left: number, right: number): number | undefined {
    return right < ids.length ? this.#ranks.get(ids[left]! * this.#size + ids[right]!) : undefined
  }

  #mergeAll (ids: Int32Array): number[] {
    const next = Int32Array.from(ids, (_, at) => at + 1)
    const previous = Int32Array.from(ids, (_, at) => at - 1)
    const waiting = new Heap()
    const wait = (at: number): void => {
      const rank = this.#rank(ids, at, next[at]!)
      if (rank !== undefined) waiting.push(rank * places + at)
    }
    for (let at = 0; at < ids.length; at++) wait(at)
    while (!waiting.isEmpty) {
      const item = waiting.pop()
      const [rank, at] = [Math.floor(item / places), item % places]
      const gone = next[at]!
      // A place that was merged into another, or whose pair has changed since.
      if (ids[at]! < 0 || this.#rank(ids, at, gone) !== rank) continue
      ids[at] = this.#merged[rank]!
      ids[gone] = -1
      next[at] = next[gone]!
      if (next[at]! < ids.length) previous[next[at]!] = at
      if (previous[at]! >= 0) wait(previous[at]!)
      wait(at)
    }
    return Array.from(ids.filter(id => id >= 0))
  }
}
