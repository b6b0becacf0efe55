/**
 * What the bench asks an engine's process and what it answers: one JSON object a line, asked on standard input,
 * answered on file descriptor 3.
 */

/** How an engine presents itself, once, as soon as its model is loaded. */
export interface About {
  /** Version of the engine. */
  readonly version: string
  /** What of its configuration was chosen, in words. */
  readonly configuration: string
}

/** One measurement: `candidates` continuations of one prompt at temperature 1 without filters, end tokens ignored. */
export interface Task {
  /**
   * Read and continued first, untimed, so that memory is touched and code is warm. As long as `prompt`, other tokens.
   */
  readonly warmUpPrompt: readonly number[]
  readonly warmUpTokens: number
  readonly prompt: readonly number[]
  readonly candidates: number
  /** Tokens of each candidate. */
  readonly newTokens: number
}

/** What a measurement gave. Both times run from the prompt being handed over. */
export interface Measured {
  /** Until every candidate had its first token, ms. */
  readonly firstMs: number
  /** Until every candidate had its last token, ms. */
  readonly totalMs: number
  /** Tokens of the prompt by the engine's own count. */
  readonly promptTokens: number
  /** The tokens drawn, by candidate. */
  readonly drawn: ReadonlyArray<readonly number[]>
}

/** An answer that says what went wrong instead. */
export interface Failed { readonly error: string }

/**
 * @throws Error saying how the answer differs from what was asked: fewer candidates or tokens, another prompt, no real
 * draws
 */
export function checkMeasured (
  { candidates, newTokens, prompt }: Task, { firstMs, totalMs, promptTokens, drawn }: Measured, vocabularySize: number
): void {
  if (promptTokens !== prompt.length) {
    throw new Error(`it read ${promptTokens} prompt tokens; ${prompt.length} were asked for`)
  }
  if (drawn.length !== candidates) throw new Error(`it made ${drawn.length} candidates; ${candidates} were asked for`)
  for (const [index, tokens] of drawn.entries()) {
    if (tokens.length !== newTokens) {
      throw new Error(`candidate ${index} has ${tokens.length} tokens; ${newTokens} were asked for`)
    }
    const wrong = tokens.find(token => !Number.isInteger(token) || token < 0 || token >= vocabularySize)
    if (wrong !== undefined) {
      throw new Error(`candidate ${index} has the token ${wrong}; tokens are from 0 to ${vocabularySize - 1}`)
    }
  }
  // Two may agree by chance, all of them cannot: they would be copies, or taken greedily.
  if (candidates > 1 && newTokens >= 16 &&
      new Set(drawn.map(tokens => tokens.join())).size === 1) throw new Error('all its candidates are the same')
  if (!(firstMs > 0 &&
    totalMs >= firstMs)) throw new Error(`its times are ${firstMs} ms to the first token and ${totalMs} ms altogether`)
}
