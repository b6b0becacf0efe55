/** Compares a journal's fold with the response that it is of. */
import assert from 'node:assert/strict'
import type { AlignmentReport, Candidate, Usage } from 'fairlead'
import type { RunUsage } from '../../src/journal/entries.js'
import type { Rewarded, Run } from '../../src/journal/fold.js'

/** Half of what a figure's rounding in journals and in responses may take away. */
const nearly = (figure: number, other: number, what: string, within = 2e-3): void => {
  assert.ok(Math.abs(figure - other) <= within + Math.abs(other) * 1e-3, `${what}: ${figure}, ${other}`)
}

/** What a response says that a journal must say, too. Its alignment must have been asked for with return_trace. */
export interface Told {
  readonly alignment: AlignmentReport
  readonly usage: Usage
  /** Texts of the choices. */
  readonly texts: readonly string[]
}

function assertCandidate (run: Run, { index, parent, reward, rewards, ...told }: Candidate): void {
  const lineage = run.candidates.get(index)!
  const what = `candidate ${index}`
  assert.deepEqual({
    text: lineage.text,
    tokens: lineage.tokens,
    finish_reason: lineage.ended === 'budget' ? 'length' : lineage.ended,
    ...lineage.droppedAt === null ? {} : { pruned_at: lineage.droppedAt }
  }, {
    text: told.text,
    tokens: told.tokens,
    finish_reason: told.finish_reason,
    ...told.pruned_at === undefined ? {} : { pruned_at: told.pruned_at }
  }, what)
  assert.equal(lineage.parent, parent ?? null, what)
  nearly(lineage.lnPolicy!, told.logprob, what, 6e-3)
  assert.equal(lineage.reward === null, reward === undefined, what)
  if (reward !== undefined) nearly(lineage.reward!, reward, what)
  for (const [place, [name]] of run.start!.rewards.entries()) {
    if (rewards) nearly(lineage.parts[place]![1], rewards[name]!.standardized, `${what}, ${name}`)
  }
}

/** A journal tells the candidates, the trace, the usage, the choices and the text of its response. */
export function assertTold (run: Run, { alignment, usage, texts }: Told): void {
  assert.equal(run.state, 'done')
  assert.equal(run.missing, 0)
  assert.equal(run.start!.seed, alignment.seed)
  assert.deepEqual(run.start!.resolved, alignment.resolved)
  assert.equal(run.candidates.size, alignment.candidates!.length)
  for (const candidate of alignment.candidates!) assertCandidate(run, candidate)
  if (run.steps.length > 0 || alignment.strategy !== 'token_guidance') {
    const indices = (listed: readonly Rewarded[]): number[] => listed.map(([index]) => index)
    assert.deepEqual(run.steps.map(({ n, kept, dropped }) => [n, indices(kept), indices(dropped)]),
      alignment.trace!.map(({ step, kept, dropped }) => [step, indices(kept), indices(dropped)]))
  } else assert.equal([...run.candidates.values()].flatMap(({ guided }) => guided).length, alignment.trace!.length)
  assert.deepEqual(run.choices.map(({ index, characters }) => run.candidates.get(index!)!.text.slice(0, characters)),
    texts)
  assert.deepEqual(run.done!.warnings, alignment.warnings)
  assert.equal(run.done!.kl.kind, alignment.kl.kind)
  assertUsage(run.done!.usage, usage)
}

/** A journal's ledger is the response's, figure by figure. */
export function assertUsage (own: RunUsage, usage: Usage): void {
  const {
    prompt_tokens: prompt, completion_tokens: completion, cached_tokens: cached, accepted_drafts: accepted,
    rejected_drafts: rejected, ...ledger
  } = own
  const drafts = usage.completion_tokens_details
  assert.deepEqual({ prompt, completion, cached, accepted, rejected }, {
    prompt: usage.prompt_tokens,
    completion: usage.completion_tokens,
    cached: usage.prompt_tokens_details.cached_tokens,
    accepted: drafts?.accepted_prediction_tokens ?? 0,
    rejected: drafts?.rejected_prediction_tokens ?? 0
  })
  assert.deepEqual({ ...ledger }, usage.alignment_details)
}
