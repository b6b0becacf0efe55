/** A modal dialog: the browser's own, with focus kept inside and given back. */
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'

interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  readonly children: ComponentChildren
}

export function Dialog ({ title, onClose, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const before = document.activeElement
    element.current!.showModal()
    return () => { if (before instanceof HTMLElement) before.focus() }
  }, [])
  return (
    <dialog ref={element} aria-labelledby={id} onClose={onClose}>
      <div class='dialog-head'>
        <h2 id={id}>{title}</h2>
        <button
          type='button' class='quiet'
          aria-label='Close'
          onClick={() => element.current!.close()}
        >✕
        </button>
      </div>
      {children}
    </dialog>
  )
}
