/** What a run took: tokens, passes, time, KL, seed. Only what was recorded. */
import type { Run } from '../../journal/fold.js'
import { count, decimal, plural, seconds } from '../logic/formats.js'
import { CopyButton } from './copy.js'

const kinds = {
  exact_sampled: 'exact, of this answer', upper_bound: 'upper bound', bound_estimate: 'estimate of a bound'
} as const
const limits = {
  max_generated_tokens: 'max_generated_tokens was reached: the best answer so far was returned.',
  deadline: 'deadline_ms was reached: the best answer so far was returned.'
} as const

export function Cost ({ run }: { readonly run: Run }) {
  const { done, start } = run
  if (!done || !start) return null
  const { usage, kl, stopped_by: stoppedBy, warnings } = done
  return (
    <section class='card cost' aria-label='Cost'>
      <h2>Cost</h2>
      <dl class='facts'>
        <div><dt>generated</dt>
          <dd>{count(usage.generated_tokens)} = {count(usage.returned_tokens)} returned + {' '}
            {count(usage.discarded_tokens)} discarded
          </dd>
        </div>
        <div><dt>reward tokens</dt><dd>{count(usage.reward_tokens)}</dd></div>
        <div><dt>prompt</dt><dd>{plural(usage.prompt_tokens, 'token')}, {count(usage.cached_tokens)} cached</dd></div>
        <div><dt>forward passes</dt><dd>{count(usage.forward_passes)}</dd></div>
        <div><dt>time</dt><dd>{seconds(run.t)}</dd></div>
        {kl.value !== null && kl.kind !== null &&
          <div><dt>KL</dt><dd>{decimal(kl.value)} nats ({kinds[kl.kind]})</dd></div>}
        <div><dt>seed</dt><dd>{start.seed} <CopyButton text={String(start.seed)} label='Copy the seed' /></dd></div>
      </dl>
      {stoppedBy !== null && <p class='note'><strong>{stoppedBy}</strong> {limits[stoppedBy]}</p>}
      {warnings.map(({ code, message }) => <p class='note' key={code}><strong>{code}</strong> {message}</p>)}
      {run.missing > 0 && (
        <p class='note'>{count(run.missing)} entries are missing: the journal had reached its size.</p>
      )}
    </section>
  )
}
