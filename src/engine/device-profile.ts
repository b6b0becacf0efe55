/**
 * What was measured on a device, or follows from its kernels, and decides what is run how. One profile a device, passed
 * to whoever decides; no other file of the engine holds such numbers. Some change bits (what is shared, how prompts are
 * cut), so they are never functions of the load.
 */

import { minLongChunk } from './kv/history.js'

/** From where candidates of one request store and read their prompt's KV once; all three must be reached. */
export interface PromptSharingProfile {
  readonly minFanOut: number
  readonly minPromptTokens: number
  /** Fan-out × prompt tokens. */
  readonly minProduct: number
}

/** Who runs in a step, and how many tokens of prompts beside them. */
export interface SchedulingProfile {
  /** A request of at most this fan-out is a stream, whose tokens are read as they come; otherwise it is a search. */
  readonly maxStreamFanOut: number
  /** Decode rows of searches in a step that a stream waits for. */
  readonly searchRowsBesideStreams: number
  /** Prompt tokens in such a step for each prompt that is being read. */
  readonly streamStepTokensPerPrompt: number
  /** Prompt tokens per decode row of such a step: one of many rows is long already. */
  readonly streamStepTokensPerRow: number
  /** Prompt tokens in such a step, at most, whatever else waits. */
  readonly maxStreamStepTokens: number
  /** Prompt tokens of a step that are worth a caller's turn. */
  readonly minCallerPrefillTokens: number
  /** Attention takes the positions of a prefill chunk in multiples of this; none may be alone in the last block. */
  readonly attentionBlock: number
}

/** What is worth a forward pass of its own. */
export interface PassProfile {
  /** Starting a pass costs about as much as this many decode rows. */
  readonly passCostInRows: number
  /** Sub-batches with a shared prompt in one pass: each number is a graph to compile. */
  readonly maxSharedSubBatches: number
  /** Prefill chunks in one pass, the largest number first: each is a graph to compile. */
  readonly joinedChunks: readonly number[]
  /** A chunk of more tokens is as fast alone. */
  readonly maxJoinedChunkTokens: number
  /** Tokens of one pass of look-ahead. */
  readonly maxProbeTokens: number
  /** Chunks of fewer new tokens have an attention kernel of their own; 0 where they have none. */
  readonly minLongChunk: number
}

/** What moving KV between slots is worth. */
export interface SlotProfile {
  /** Free slots together keep this share of the KV memory for new sequences. */
  readonly residueShare: number
  /** A slot further up is taken for what it holds only if that is this share of what is wanted. */
  readonly minReusedShare: number
  /** Sequences moved in a step only to bring rows together. */
  readonly maxMoves: number
  /** More are moved while together they hold this many tokens at most. */
  readonly maxMovedTokens: number
}

/** How far a sequence runs ahead of its owner. */
export interface DraftProfile {
  /** Draft tokens after a draft whose first token was rejected. */
  readonly minDraftTokens: number
  readonly maxDraftTokens: number
}

export interface DeviceProfile {
  readonly promptSharing: PromptSharingProfile
  readonly scheduling: SchedulingProfile
  readonly passes: PassProfile
  readonly slots: SlotProfile
  readonly drafts: DraftProfile
}

/** The most that one pass of a device takes. */
export const gpuLimits = { maxTokens: 2048, maxRows: 256 }

/** x86-64 with AVX2 and up, 2 to 8 threads, models of 0.1 to 1 billion parameters. */
export const cpuProfile: DeviceProfile = {
  // One family of 32, and several of 8, 16 and 32 beside each other, on prompts of 64 to 512 tokens. Where each has 8
  // rows, one batch of private KV is as fast up to 512 tokens.
  promptSharing: { minFanOut: 8, minPromptTokens: 32, minProduct: 4096 },
  scheduling: {
    maxStreamFanOut: 4,
    // The most that keeps a stream's gaps near 2.5 times those it has alone.
    searchRowsBesideStreams: 12,
    // About as long as those rows. Larger chunks are hardly read faster, and streams would feel them.
    streamStepTokensPerPrompt: 16,
    streamStepTokensPerRow: 2,
    maxStreamStepTokens: 128,
    // A smaller chunk is read together with others, a larger one is as fast alone.
    minCallerPrefillTokens: 64,
    // Flash attention's blocks are twice the head size: a multiple of this. A position alone in the last block would be
    // multiplied by another kernel than one beside others, and have other bits. It is switched off
    // (runtime/library.ts), but the self-test sees that of decoding only.
    attentionBlock: 32
  },
  passes: {
    // At 1 to 32 rows.
    passCostInRows: 4,
    // More gain little.
    maxSharedSubBatches: 4,
    joinedChunks: [8, 4, 2],
    maxJoinedChunkTokens: 64,
    maxProbeTokens: 32,
    minLongChunk: 0
  },
  // A search with look-ahead forks the same sequences again and again. Copies are short, but a step waits for them.
  slots: { residueShare: 1 / 8, minReusedShare: 0.75, maxMoves: 4, maxMovedTokens: 256 },
  // A pass over 8 tokens took 1.4 to 1.9 times as long as one over a single token.
  drafts: { minDraftTokens: 2, maxDraftTokens: 12 }
}

/** The same with instructions for products of 8-bit integers (VNNI, AMX): a row more costs less there. */
export const cheapRowsProfile: DeviceProfile = {
  ...cpuProfile, scheduling: { ...cpuProfile.scheduling, searchRowsBesideStreams: 20 }
}

/**
 * A graphics card. Estimates, none of them ever measured: a step takes nearly as long for 1 decode row as for 32, and
 * as for a few hundred tokens of prompts beside them.
 */
export const gpuProfile: DeviceProfile = {
  // Forks share blocks as it is, and attention reads them once a row.
  promptSharing: { minFanOut: Infinity, minPromptTokens: Infinity, minProduct: Infinity },
  scheduling: {
    maxStreamFanOut: 4,
    searchRowsBesideStreams: 64,
    streamStepTokensPerPrompt: 64,
    streamStepTokensPerRow: 8,
    maxStreamStepTokens: 256,
    minCallerPrefillTokens: 128,
    // A chunk may end anywhere: its kernel is held.
    attentionBlock: Infinity
  },
  passes: { ...cpuProfile.passes, minLongChunk },
  slots: cpuProfile.slots,
  drafts: cpuProfile.drafts
}
