/**
 * The grammars of one thread: those that requests use, and those that are kept for the next request, bounded in bytes.
 */
import type { GrammarSource } from './grammar-source.js'

/** Most bytes of sources that are kept, with what each costs beside its source. */
const maxSourceBytes = 16 << 20
const bytesBeside = 1 << 14

/** Memory of a thread beyond which it keeps no grammar that is not in use, bytes; small grammars need 20 MB in all. */
const maxMemoryBytes = 128 << 20

/** A grammar, compiled or to be compiled. */
export class Grammar {
  readonly id: number
  readonly caller: string
  readonly key: string
  readonly source: GrammarSource
  /** Requests that hold to it. */
  users = 0
  /** What may come first; settles when it is compiled. */
  first: Promise<Int32Array> | null = null
  /** Number of the thread's run that has it; 0 is none. */
  sentTo = 0

  /** @param id a number that no other has */
  constructor (id: number, caller: string, key: string, source: GrammarSource) {
    this.id = id
    this.caller = caller
    this.key = key
    this.source = source
  }

  get bytes (): number { return bytesBeside + 2 * this.key.length }
}

/** Grammars by caller and source, least recently used first: no caller learns what another asked for. */
export class KeptGrammars {
  readonly #grammars = new Map<string, Grammar>()
  readonly #maxSourceBytes: number
  /** Of the thread, as it told last. */
  memoryBytes = 0
  #bytes = 0
  readonly #users = new Map<string, number>()

  /** @param limits for tests */
  constructor (limits: { readonly maxSourceBytes?: number } = {}) {
    this.#maxSourceBytes = limits.maxSourceBytes ?? maxSourceBytes
  }

  /** Requests that use one. @param but those of a caller that are not counted */
  users (but: string | null = null): number {
    let sum = 0
    for (const [caller, count] of this.#users) if (caller !== but) sum += count
    return sum
  }

  /** Whether the thread has so much memory that it keeps nothing. */
  get isFull (): boolean { return this.memoryBytes > maxMemoryBytes }

  has (caller: string): boolean { return [...this.#grammars.values()].some(grammar => grammar.caller === caller) }

  /** The grammar of a source, in use from now on. @param make called where there is none */
  use (caller: string, key: string, make: () => Grammar): Grammar {
    const place = placeOf(caller, key)
    const grammar = this.#grammars.get(place) ?? make()
    this.drop(grammar)
    this.#grammars.set(place, grammar)
    this.#bytes += grammar.bytes
    this.#use(grammar, 1)
    return grammar
  }

  /** Ends one use. */
  release (grammar: Grammar): void { this.#use(grammar, -1) }

  #use (grammar: Grammar, more: 1 | -1): void {
    const users = (this.#users.get(grammar.caller) ?? 0) + more
    grammar.users += more
    if (users > 0) this.#users.set(grammar.caller, users)
    else this.#users.delete(grammar.caller)
  }

  /** Is found no more. */
  drop (grammar: Grammar): void {
    const place = placeOf(grammar.caller, grammar.key)
    if (this.#grammars.get(place) !== grammar) return
    this.#grammars.delete(place)
    this.#bytes -= grammar.bytes
  }

  /** Drops those not in use that there is no room for. @returns them */
  takeExcess (): readonly Grammar[] {
    const excess: Grammar[] = []
    for (const grammar of this.#grammars.values()) {
      if (this.#bytes <= this.#maxSourceBytes && !this.isFull) break
      if (grammar.users > 0) continue
      this.drop(grammar)
      excess.push(grammar)
    }
    return excess
  }
}

const placeOf = (caller: string, key: string): string => `${caller.length} ${caller} ${key}`
