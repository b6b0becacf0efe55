/** Where the KV of one open sequence is. */
import type { History } from '../history.js'
import type { KvSequence } from '../kv-manager.js'
import type { SharedPrompt } from './shared-prompt.js'

/** What the slot manager knows of a sequence. */
export class Placement<S extends KvSequence> {
  readonly sequence: S
  /** Slot that holds its KV; −1 before its first run and while it is swapped out. */
  slot = -1
  /** Slot of the sequence it was forked from, until its own is filled; −1 for none. */
  source = -1
  /** Its KV, packed, while it is swapped out; null otherwise. */
  swapped: Float32Array | null = null
  /** The prompt that it shares with the other candidates of its request; null where its slot holds everything. */
  prompt: SharedPrompt | null = null

  constructor (sequence: S) { this.sequence = sequence }

  /** What its slot holds, or will hold: all that has KV but a shared prompt. */
  get held (): History {
    const { sequence: { tokens, runs }, prompt } = this
    const from = prompt?.length ?? 0
    return { prefix: prompt, tokens: tokens.slice(from), runs: runs.slice(from) }
  }

  get heldTokens (): number { return this.sequence.runs.length - (this.prompt?.length ?? 0) }
}
