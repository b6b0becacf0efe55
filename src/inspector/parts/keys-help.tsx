/** The list of keys, and whether single letters are commands. */
import { letterKeys } from '../state/preferences.js'
import { showsKeys } from '../state/keyboard.js'
import { Dialog } from './dialog.js'

/** Keys by where they act. */
export interface KeyList { readonly where: string, readonly keys: ReadonlyArray<readonly [keys: string, does: string]> }

export function KeysHelp ({ lists }: { readonly lists: readonly KeyList[] }) {
  return (
    <Dialog title='Keys' onClose={() => { showsKeys.value = false }}>
      {lists.map(({ where, keys }) => (
        <section key={where}>
          <h3>{where}</h3>
          <dl class='keys'>
            {keys.map(([key, does]) => <div key={key}><dt>{key}</dt><dd>{does}</dd></div>)}
          </dl>
        </section>
      ))}
      <label class='check'>
        <input
          type='checkbox' checked={letterKeys.value === 'on'}
          onChange={event => { letterKeys.value = event.currentTarget.checked ? 'on' : 'off' }}
        />
        Single letters are commands (outside text fields)
      </label>
    </Dialog>
  )
}
