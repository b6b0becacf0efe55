/** Opens a journal from a file: chosen, or dropped anywhere on the page. */
import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { JournalError, readJournal } from '../../journal/read.js'
import { go } from '../state/router.js'
import { openRun } from '../state/run.js'

/** Why the last file could not be opened; '' where it could. */
const problem = signal('')

async function open (file: File): Promise<void> {
  try {
    openRun(readJournal(await file.text()).entries, file.name)
    problem.value = ''
    go('run')
  } catch (error) {
    if (!(error instanceof JournalError)) throw error
    problem.value = `${file.name}: ${error.message}`
  }
}

/** Opens the recorded run that comes with the page: it needs no model. */
export async function openExample (): Promise<void> {
  try {
    const response = await fetch('example.fairlead.jsonl')
    if (!response.ok) throw new Error(`status ${response.status}`)
    openRun(readJournal(await response.text()).entries, 'the example')
    problem.value = ''
  } catch (error) {
    problem.value = `The example could not be loaded (${String(error)}).`
  }
}

/** To be there once: takes files that are dropped on the page. */
export function DropTarget () {
  useEffect(() => {
    const over = (event: DragEvent): void => {
      if (event.dataTransfer?.types.includes('Files')) event.preventDefault()
    }
    const drop = (event: DragEvent): void => {
      const file = event.dataTransfer?.files[0]
      if (!file) return
      event.preventDefault()
      open(file).catch(reportError)
    }
    addEventListener('dragover', over)
    addEventListener('drop', drop)
    return () => {
      removeEventListener('dragover', over)
      removeEventListener('drop', drop)
    }
  }, [])
  return problem.value === '' ? null : <p class='banner bad' role='alert'>{problem.value}</p>
}

export function OpenFile ({ label }: { readonly label: string }) {
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <input
        ref={input} type='file'
        hidden accept='.jsonl,application/x-ndjson'
        aria-label={label}
        onChange={event => {
          const file = event.currentTarget.files?.[0]
          if (file) open(file).catch(reportError)
          event.currentTarget.value = ''
        }}
      />
      <button type='button' onClick={() => { input.current!.click() }}>{label}</button>
    </>
  )
}
