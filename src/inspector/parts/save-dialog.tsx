/** Saves a run to be shared: what is in the file is listed, and can be left out. */
import { useState } from 'preact/hooks'
import { exportedPage } from '../../journal/exported.js'
import { runSvg } from '../../journal/svg.js'
import { linesOf } from '../../journal/wire.js'
import { plural } from '../logic/formats.js'
import { messagesOf, redact, type Redaction } from '../logic/redact.js'
import { inOrder } from '../logic/lineages.js'
import type { Session } from '../state/session.js'
import { Dialog } from './dialog.js'
import { saveFile } from './save.js'

const nothing: Redaction = { system: false, prompt: false, others: false }

/** The viewer's file. */
async function viewer (): Promise<string> {
  const response = await fetch('viewer.html')
  if (!response.ok) throw new Error(`viewer.html: ${response.status}`)
  return await response.text()
}

export function SaveDialog ({ session, onClose }: { readonly session: Session, readonly onClose: () => void }) {
  const [what, setWhat] = useState(nothing)
  const { head, select } = session.run
  const texts = inOrder(session.run).length
  const entries = (): ReturnType<typeof redact> => redact(session.entries, what)
  const name = head?.id ?? 'run'
  const savePage = async (): Promise<void> => {
    saveFile(`${name}.html`, exportedPage(await viewer(), entries()), 'text/html')
  }
  const box = (field: keyof Redaction, label: string) => (
    <label class='check'>
      <input
        type='checkbox' checked={what[field]}
        onChange={event => { setWhat({ ...what, [field]: event.currentTarget.checked }) }}
      />
      leave out {label}
    </label>
  )
  const isOf = (...roles: string[]): boolean => messagesOf(head?.request ?? {}).some(({ role }) => roles.includes(role))
  const hasSystem = isOf('system', 'developer') || head?.request['instructions'] !== undefined
  return (
    <Dialog title='Save this run' onClose={onClose}>
      <p>
        In the file: the prompt, {hasSystem && 'the system message, '}{plural(texts, 'answer')}, settings, model, seed
        (in the picture of texts only prompt and answer). <strong>Not in it:</strong> the API key, who asked, the
        server’s address.
      </p>
      {hasSystem && box('system', 'the system message')}
      {box('prompt', 'the prompt')}
      {select && texts > 1 && box('others', 'the texts of answers that were not chosen (lengths and rewards stay)')}
      <div class='actions'>
        <button type='button' class='primary' onClick={() => { savePage().catch(reportError) }}>
          HTML, opens anywhere
        </button>
        <button type='button' onClick={() => { saveFile(`${name}.fairlead.jsonl`, linesOf(entries())) }}>
          Journal (JSONL)
        </button>
        <button type='button' onClick={() => { saveFile(`${name}.svg`, runSvg(entries()), 'image/svg+xml') }}>
          Animated picture (SVG)
        </button>
      </div>
    </Dialog>
  )
}
