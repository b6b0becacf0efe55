/** What a request brings to this process's own engine. Types only. */
import type { Sequence, SequenceOptions } from '../../engine/sequence.js'
import type { Constraint } from '../constraint.js'
import type { AnswerRules } from '../transcript.js'

export interface LocalRequest extends AnswerRules {
  /** Opens a sequence with the request's temperature, salt, layers and signal, which closes it. */
  open (tokens: readonly number[], options?: Pick<SequenceOptions, 'poolFrom'>): Sequence
  /** Layers whose hidden states are read. */
  readonly layers: readonly number[]
  /** What answers are held to; null where anything may be written. */
  readonly constraint: Constraint | null
  /** The UTF-8 bytes a token stands for, for logprobs. */
  tokenBytes (token: number): Uint8Array
}
