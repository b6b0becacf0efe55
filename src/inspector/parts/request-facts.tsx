/** What was asked for, where it cannot be changed: in a file. */
import type { Head } from '../../journal/entries.js'
import { draftOf, plain } from '../logic/request.js'
import { Answer } from './answer.js'

export function RequestFacts ({ head }: { readonly head: Head }) {
  const draft = draftOf(head.request)
  const fields = Object.entries({ ...draft.fields[draft.strategy], ...draft.sampling })
  return (
    <section class='card ask request' aria-label='Request'>
      {draft.system !== '' && <><h2>System</h2><Answer text={draft.system} /></>}
      <h2>Prompt</h2>
      <Answer text={draft.prompt} />
      {draft.beginning !== '' && <><h2>The answer begins with</h2><Answer text={draft.beginning} /></>}
      <h2>{draft.strategy === plain ? 'plain' : draft.strategy}</h2>
      <dl class='facts'>
        {draft.rewards.map(({ name, weight }) => <div key={name}><dt>reward</dt><dd>{name} × {weight}</dd></div>)}
        <div><dt>max tokens</dt><dd>{draft.maxTokens}</dd></div>
        {fields.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{JSON.stringify(value)}</dd></div>)}
        <div><dt>model</dt><dd>{head.model}</dd></div>
      </dl>
      {head.redacted && head.redacted.length > 0 &&
        <p class='note'>Left out before sharing: {head.redacted.join(', ')}</p>}
    </section>
  )
}
