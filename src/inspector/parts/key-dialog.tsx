/** Asks for the API key of a server that wants one. */
import { signal } from '@preact/signals'
import { useState } from 'preact/hooks'
import { checkNow } from '../server/connection.js'
import { link } from '../server/link.js'
import { keyStored, storeKey } from '../state/key.js'
import { Dialog } from './dialog.js'

/** Whether the dialog is open. */
export const asksForKey = signal(false)

const crossesNetwork = (): boolean => !isSecureContext

export function KeyDialog () {
  const [key, setKey] = useState('')
  const [remember, setRemember] = useState(false)
  const [message, setMessage] = useState('')
  const [isChecking, setChecking] = useState(false)
  const [accepted, setAccepted] = useState(false)
  const close = () => { asksForKey.value = false }
  const submit = async (event: Event) => {
    event.preventDefault()
    if (crossesNetwork() && !accepted) {
      setMessage('This page is not encrypted: others on the network can read the key. Press once more to send it.')
      setAccepted(true)
      return
    }
    setChecking(true)
    storeKey(key, remember)
    await checkNow()
    setChecking(false)
    if (link.value.state !== 'key') return close()
    storeKey(null, false)
    setMessage('That key was not accepted. Check it and try again.')
  }
  return (
    <Dialog title='This server needs an API key' onClose={close}>
      <form onSubmit={submit}>
        <p>The key is kept in this tab’s memory and session, and sent to this server only.</p>
        <label class='field'>API key
          <input
            type='password' autocomplete='off'
            spellcheck={false} required
            value={key}
            aria-describedby='key-message' aria-invalid={message !== ''}
            onInput={event => { setKey(event.currentTarget.value) }}
          />
        </label>
        <p id='key-message' class='error' role='alert'>{message}</p>
        <label class='check'>
          <input type='checkbox' checked={remember} onChange={event => { setRemember(event.currentTarget.checked) }} />
          Remember on this device
        </label>
        <div class='actions'>
          <button type='submit' class='primary' disabled={isChecking}>Use this key</button>
          {keyStored() !== null &&
            <button type='button' onClick={() => { storeKey(null, false) }}>Forget the key</button>}
        </div>
      </form>
    </Dialog>
  )
}
