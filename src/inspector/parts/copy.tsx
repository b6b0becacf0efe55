/** Copies text. */
import { useState } from 'preact/hooks'
import { say } from '../state/status.js'

/** The clipboard, or, on pages that are not encrypted, the browser's old way. */
export async function copyText (text: string): Promise<void> {
  if (isSecureContext) return await navigator.clipboard.writeText(text)
  const area = document.createElement('textarea')
  area.value = text
  document.body.append(area)
  area.select()
  document.execCommand('copy')
  area.remove()
}

interface CopyProps { readonly text: string, readonly label: string, readonly children?: string }

export function CopyButton ({ text, label, children }: CopyProps) {
  const [copied, setCopied] = useState(false)
  const copy = async (): Promise<void> => {
    await copyText(text)
    setCopied(true)
    say('Copied.', true)
    setTimeout(() => { setCopied(false) }, 1500)
  }
  return (
    <button
      type='button' class={children === undefined ? 'quiet small' : ''}
      aria-label={label} title={label}
      onClick={() => { copy().catch(() => { say('The browser refused to copy.', true) }) }}
    >
      {copied
        ? '✓'
        : (
          <svg class='icon' viewBox='0 0 16 16' aria-hidden='true'>
            <rect
              x='5.5' y='5.5'
              width='8'
              height='8' rx='1.5'
            /><path d='M10.5 5.5v-3h-8v8h3' />
          </svg>
          )}
      {children}
    </button>
  )
}
