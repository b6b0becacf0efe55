/** Teach, step 1: what answers are drawn to. */
import { useState } from 'preact/hooks'
import { keptForCheck } from '../../logic/ratings.js'
import { changeSet, currentSet } from '../../state/teach.js'
import { say } from '../../state/status.js'

/** Below this, whole prompts cannot be held out of a fit. */
const fewestPrompts = 10
const wanted = 20

/** Sets that come with the page, by name. */
async function builtIn (name: string): Promise<readonly string[]> {
  const response = await fetch('prompts.json')
  return (await response.json() as Record<string, readonly string[]>)[name] ?? []
}

export function Prompts ({ onNext }: { readonly onNext: () => void }) {
  const { prompts } = currentSet.value
  const kept = keptForCheck(currentSet.value).size
  const [text, setText] = useState('')
  const add = (more: readonly string[]): void => {
    const clean = more.map(prompt => prompt.trim()).filter(prompt => prompt !== '')
    const all = [...new Set([...prompts, ...clean])]
    say(`${all.length - prompts.length} prompts added.`, true)
    changeSet({ prompts: all })
  }
  const addBuiltIn = async (name: string): Promise<void> => {
    add((await builtIn(name)).filter(prompt => !prompts.includes(prompt)).slice(0, 40))
  }
  return (
    <section class='card step' aria-label='Prompts'>
      <h2>What shall answers be drawn to?</h2>
      <div class='bar-row'>
        <button type='button' onClick={() => { addBuiltIn('instructions').catch(reportError) }}>
          Add 40 instructions
        </button>
        <button type='button' onClick={() => { addBuiltIn('reviews').catch(reportError) }}>
          Add 40 requests for reviews
        </button>
      </div>
      <form onSubmit={event => {
        event.preventDefault()
        add(text.split('\n'))
        setText('')
      }}
      >
        <label class='field'>Your own, one a line
          <textarea rows={4} value={text} onInput={event => { setText(event.currentTarget.value) }} />
        </label>
        <button type='submit' disabled={text.trim() === ''}>Add</button>
      </form>
      <p class='small'>
        {prompts.length} prompts. {prompts.length < wanted && `${wanted} or more are better.`}{' '}
        {prompts.length > 0 && prompts.length < fewestPrompts &&
          `With fewer than ${fewestPrompts}, answers rather than whole prompts are held out, and the card says less.`}
        {kept > 0 && `${kept} of them are not rated, but kept for the check.`}
      </p>
      {prompts.length > 0 && (
        <details>
          <summary>Look at them</summary>
          <ul class='prompt-list'>
            {prompts.map(prompt => (
              <li key={prompt}>
                <bdi dir='auto'>{prompt}</bdi>
                <button
                  type='button' class='quiet small'
                  aria-label={`Take out “${prompt}”`}
                  onClick={() => { changeSet({ prompts: prompts.filter(one => one !== prompt) }) }}
                >✕
                </button>
              </li>
            ))}
          </ul>
        </details>
      )}
      <div class='actions'>
        <button
          type='button' class='primary'
          disabled={prompts.length === 0}
          onClick={onNext}
        >Rate answers →
        </button>
      </div>
    </section>
  )
}
