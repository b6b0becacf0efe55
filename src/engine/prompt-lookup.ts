/**
 * Draft tokens by prompt lookup: a text goes on as it did where its last tokens stood before. Answers repeat their
 * prompt, and themselves, wherever they quote, correct or list. Pure. Prompt lookup decoding (Saxena 2023,
 * github.com/apoorvumang/prompt-lookup-decoding).
 */

/** Tokens that must match those at the end. Fewer find more drafts, which are more often wrong. */
const matchedTokens = 2

/** What was written, by its pairs of neighbours. */
export class PromptLookup {
  readonly #tokens: number[] = []
  /** Where what follows the last occurrence of some tokens begins, that at the very end apart. */
  readonly #next = new Map<string, number>()

  /** @param tokens what was written so far, and before it anything that the text may repeat */
  constructor (tokens: readonly number[]) { for (const token of tokens) this.push(token) }

  push (token: number): void {
    const end = this.#tokens.length
    if (end >= matchedTokens) this.#next.set(this.#end(), end)
    this.#tokens.push(token)
  }

  /** At most so many tokens that may follow; none where nothing like the end stands elsewhere. */
  draft (max: number): number[] {
    const from = this.#next.get(this.#end())
    return from === undefined ? [] : this.#tokens.slice(from, from + max)
  }

  #end (): string { return this.#tokens.slice(-matchedTokens).join() }
}
