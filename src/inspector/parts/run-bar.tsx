/** What can be done with a run: copied as a program, saved. */
import { useState } from 'preact/hooks'
import { chatBody, draftOf } from '../logic/request.js'
import { languages, snippet } from '../logic/snippets.js'
import { keyStored } from '../state/key.js'
import { apiUrl } from '../server/http.js'
import { comparePreset } from '../state/compare.js'
import { go } from '../state/router.js'
import { presets, runAgain, whyNotAgain } from '../state/run.js'
import type { Session } from '../state/session.js'
import { CopyButton } from './copy.js'
import { loaded } from './loaded.js'

const SaveDialog = loaded(({ SaveDialog }) => SaveDialog)

export function RunBar ({ session }: { readonly session: Session }) {
  const [language, setLanguage] = useState<(typeof languages)[number][0] | null>(null)
  const [isSaving, setSaving] = useState(false)
  const { head } = session.shown.value.run
  if (!head || session.isLive) return null
  const body = chatBody(draftOf(head.request), head.model)
  const code = language === null ? '' : snippet(language, body, apiUrl('/').replace(/\/$/, ''), keyStored() !== null)
  const whyNot = whyNotAgain()
  const plainVsThis = presets.value[0]!
  return (
    <section class='card' aria-label='Use this run'>
      <div class='bar-row'>
        <span>Copy as</span>
        <div class='segments' role='group' aria-label='Copy as'>
          {languages.map(([one, name]) => (
            <button
              key={one} type='button'
              aria-pressed={language === one}
              onClick={() => { setLanguage(language === one ? null : one) }}
            >{name}
            </button>
          ))}
        </div>
        <span class='grow' />
        <div class='actions'>
          <button
            type='button' disabled={whyNot !== null}
            title={whyNot ?? 'With the same seed; tokens and rewards are compared.'}
            onClick={() => { runAgain().catch(reportError) }}
          >Run again here
          </button>
          <button
            type='button' disabled={plainVsThis.whyNot !== null}
            {...(plainVsThis.whyNot === null ? {} : { title: plainVsThis.whyNot })}
            onClick={() => {
              comparePreset(plainVsThis)
              go('compare')
            }}
          >Compare with plain
          </button>
          <button type='button' onClick={() => { setSaving(true) }}>Save…</button>
        </div>
      </div>
      {isSaving && <SaveDialog session={session} onClose={() => { setSaving(false) }} />}
      {language !== null && (
        <div class='code'>
          <pre tabIndex={0} role='region' aria-label='Code'>{code}</pre>
          <CopyButton text={code} label='Copy the code'>Copy</CopyButton>
        </div>
      )}
    </section>
  )
}
