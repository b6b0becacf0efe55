/**
 * Where an extension of an answer ends: plain data, so that it can be sent to a remote engine, and how it is checked.
 */
import type { Transcript } from './transcript.js'

/**
 * Counted from a fixed token on, so that an extension that a budget interrupted goes on under the same condition.
 * Without further fields only the answer's own end ends it.
 */
export interface StopCondition {
  /** Tokens that were drawn when it was set. */
  readonly from: number
  /** Ends after so many tokens. */
  readonly tokens?: number
  /** Ends with the token in which this text has ended so many steps. */
  readonly delimiter?: { readonly text: string, readonly times: number }
  /** Ends before a token of this entropy, nats, after `minTokens` at least. Needs `distributions`. */
  readonly entropy?: { readonly atLeast: number, readonly minTokens: number }
}

/** Whether a step's text holds its delimiter after something else: a step without content is none. */
function endsStep (text: string, delimiter: string): boolean {
  const content = text.length - text.trimStart().length
  return content < text.length && text.includes(delimiter, content)
}

/** Whether a delimiter has ended enough steps; reads the tokens that are new since it was last asked. */
function stepCounter (
  { text, times }: NonNullable<StopCondition['delimiter']>, from: number, transcript: Transcript
): () => boolean {
  let [at, start, steps] = [from, transcript.textLengthAfter(from), 0]
  return () => {
    while (at < transcript.drawn) {
      const end = transcript.textLengthAfter(++at)
      if (!endsStep(transcript.text.slice(start, end), text)) continue
      start = end
      steps++
    }
    return steps >= times
  }
}

/** To be asked after every token whether the condition is met, as far as tokens and text say. */
export function stopCheck (
  { from, tokens = Infinity, delimiter }: StopCondition, transcript: Transcript
): () => boolean {
  const hasEnded = delimiter ? stepCounter(delimiter, from, transcript) : () => false
  return () => transcript.drawn - from >= tokens || hasEnded()
}
