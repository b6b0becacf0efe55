/** What the inference thread writes into a request's journal beside its strategy: how it begins, how it ends. */
import { hasViews } from '../decoding/recorded.js'
import type { DecodeResult } from '../decoding/result.js'
import { RequestError } from '../errors.js'
import type { Done, Fail, RunUsage, Start } from '../journal/entries.js'
import { Recorder } from '../journal/recorder.js'
import { JournalWriter } from '../journal/wire.js'
import type { GenerateRequest, GenerationEvent, GenerationStart, Usage } from './protocol.js'

/** The journal of a request, whether it is sent or only its views are; null where nobody wants either. */
export function recorderOf ({ journal, alignment }: GenerateRequest): Recorder | null {
  if (!journal && !hasViews(alignment)) return null
  return new Recorder({
    now: () => performance.now(),
    everyToken: alignment?.return_progress === true,
    ...(journal && { alternatives: journal.alternatives, pieces: journal.pieces })
  })
}

/** Sends a journal's entries, where they were asked for. */
export class JournalSender {
  readonly #writer: JournalWriter | null

  constructor ({ journal }: GenerateRequest) { this.#writer = journal ? new JournalWriter() : null }

  /** The same events, of entries only what is sent. */
  * sent (event: GenerationEvent): Generator<GenerationEvent, void, undefined> {
    if (event.type !== 'journal') return yield event
    const entries = this.#writer?.write(event.entries) ?? []
    if (entries.length > 0) yield { type: 'journal', entries }
  }

  /** The entries that a journal has ready. */
  * told (journal: Recorder | null): Generator<GenerationEvent, void, undefined> {
    if (journal) yield * this.sent({ type: 'journal', entries: journal.take() })
  }
}

export function startEntry (
  { seed, strategy, resolved, rewardsUsed, promptTokenIds, droppedMessages }: GenerationStart
): Start['start'] {
  return {
    seed,
    strategy,
    resolved,
    rewards: rewardsUsed.map(({ name, member, version, weight }) => [name, member, version, weight]),
    prompt: promptTokenIds.length,
    dropped: droppedMessages
  }
}

function runUsage (usage: Usage): RunUsage {
  return {
    prompt_tokens: usage.promptTokens,
    cached_tokens: usage.cachedTokens,
    computed_prompt_tokens: usage.computedPromptTokens,
    completion_tokens: usage.completionTokens,
    generated_tokens: usage.generatedTokens,
    returned_tokens: usage.returnedTokens,
    discarded_tokens: usage.discardedTokens,
    reward_tokens: usage.rewardTokens,
    reward_cached_tokens: usage.rewardCachedTokens,
    forward_passes: usage.forwardPasses,
    accepted_drafts: usage.acceptedDrafts,
    rejected_drafts: usage.rejectedDrafts,
    ...usage.engine && {
      engine: {
        calls: usage.engine.calls,
        failed_calls: usage.engine.failedCalls,
        prompt_tokens: usage.engine.promptTokens,
        cached_tokens: usage.engine.cachedTokens
      }
    }
  }
}

export function doneEntry ({ kl, stoppedBy, warnings, details }: DecodeResult, usage: Usage): Done['done'] {
  return { kl, stopped_by: stoppedBy, warnings, details, usage: runUsage(usage) }
}

/** What callers are told of an error. */
export function failEntry (error: unknown): Fail['fail'] {
  if (!(error instanceof RequestError)) {
    return { code: 'internal_error', message: 'The server had an error while processing the request', param: null }
  }
  const { code, message, param } = error
  return { code, message, param }
}
