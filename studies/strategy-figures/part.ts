/** What one part of the figures is: what is recorded of a prompt, and the tables that all prompts make. Types only. */
import type { DecodeResult } from '../../src/decoding/result.js'
import type { Estimate } from '../../src/reporting/estimate.js'

/** One answer, and what it took. */
export interface Answered { readonly result: DecodeResult, readonly forwardPasses: number, readonly ms: number }

export interface Measured {
  /** @param alignment as a request has it; null draws plainly */
  readonly ask: (
    prompt: string, seed: number, alignment: Readonly<Record<string, unknown>> | null
  ) => Promise<Answered>
  /** The reward of a whole answer, by the same rewards. */
  readonly score: (prompt: string, answer: string) => Promise<number>
  /** The rewards that steer, as a request has them. */
  readonly rewards: ReadonlyArray<{ readonly name: string, readonly weight: number }>
  readonly maxTokens: number
  /** Of the first request to a prompt; others follow it. */
  readonly seed: number
}

/** A line of a table by the names of its columns. */
export type Line = Readonly<Record<string, string | number | Estimate>>

export interface Figures {
  readonly title: string
  /** What was done, and how to read it: paragraphs of Markdown. */
  readonly text: string
  readonly tables: ReadonlyArray<{ readonly name: string, readonly lines: readonly Line[] }>
}

export interface Part<Row> {
  /** Whether answers go on past end tokens, so that all are of the same length. */
  readonly ignoreEos: boolean
  /** Asks for what is recorded of one prompt: plain data. */
  readonly record: (measured: Measured, prompt: string) => Promise<Row>
  /** @param rows of at least one prompt */
  readonly report: (rows: readonly Row[], measured: Pick<Measured, 'rewards' | 'maxTokens'>) => Figures
}
