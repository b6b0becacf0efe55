/** Components whose code comes when they are first looked at, so that a first visit is short. */
import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Later } from '../later.js'

let known: Later | null = null

/** A component of what is loaded later; until it is there, that it is being loaded. */
export function loaded<Props extends object> (choose: (later: Later) => ComponentType<Props>): ComponentType<Props> {
  return function Loaded (props: Props) {
    const [later, setLater] = useState(known)
    const [problem, setProblem] = useState('')
    useEffect(() => {
      if (known) return
      import('../later.js').then(module => {
        known = module.later
        setLater(known)
      }, (error: unknown) => { setProblem(String(error)) })
    }, [])
    if (problem !== '') {
      return (
        <p class='banner bad' role='alert'>
          This part of the page could not be loaded ({problem}). Load the page again.
        </p>
      )
    }
    if (!later) return <p class='empty' aria-busy='true'>Loading…</p>
    const Chosen = choose(later)
    return <Chosen {...props} />
  }
}
