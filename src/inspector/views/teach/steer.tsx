/** Teach, step 4: the reward steers. */
import { change } from '../../state/run.js'
import { go } from '../../state/router.js'
import { rewards } from '../../server/connection.js'
import { currentSet } from '../../state/teach.js'

/** Answers that the steered side draws, here and in the check. */
export const steeredCandidates = 8

export function Steer ({ onNext }: { readonly onNext: () => void }) {
  const { name } = currentSet.value
  const reward = rewards.value.find(({ id }) => id === name)
  if (!reward) return <section class='card step'><p class='empty'>Fit the reward first.</p></section>
  const open = (strategy: string, fields: object): void => {
    change({ strategy, fields: { [strategy]: { ...fields } }, rewards: [{ name, weight: 1 }] })
    go('run')
  }
  const guides = reward.members.includes('next_token')
  return (
    <section class='card step' aria-label='Steer'>
      <h2>Steer with “{name}”</h2>
      <p>Open it in Run with your own prompt, or in any program: <code>"alignment": {`{"reward": "${name}"}`}</code></p>
      <div class='actions'>
        <button
          type='button' class='primary'
          onClick={() => { open('best_of_n', { num_candidates: steeredCandidates }) }}
        >
          Best of {steeredCandidates} in Run
        </button>
        <button type='button' onClick={() => { open('beam_search', {}) }}>Beam search in Run</button>
        <button type='button' disabled={!guides} onClick={() => { open('token_guidance', { method: 'q_head' }) }}>
          Token guidance in Run
        </button>
      </div>
      {!guides && <p class='small'>Fast token guidance needs a next-token member: fit again with that option.</p>}
      <div class='actions'><button type='button' onClick={onNext}>Check blind whether it is better →</button></div>
    </section>
  )
}
