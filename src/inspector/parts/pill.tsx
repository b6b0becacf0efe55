/** How things stand with the server, in words and a glyph. */
import { useEffect, useState } from 'preact/hooks'
import { checkNow } from '../server/connection.js'
import { link } from '../server/link.js'
import { asksForKey } from './key-dialog.js'

function Lost ({ until }: { readonly until: number }) {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => { setNow(Date.now()) }, 500)
    return () => { clearInterval(timer) }
  }, [])
  return (
    <button type='button' class='pill bad' onClick={() => { checkNow().catch(reportError) }}>
      ✕ disconnected, retrying in {Math.max(0, Math.ceil((until - now) / 1000))} s
    </button>
  )
}

export function Pill () {
  const now = link.value
  switch (now.state) {
    case 'connecting': return <span class='pill'>○ connecting</span>
    case 'loading': return <span class='pill wait'>◔ loading model</span>
    case 'draining': return <span class='pill wait'>◔ shutting down</span>
    case 'file': return <span class='pill'>◌ replay (file)</span>
    case 'lost': return <Lost until={now.until} />
    case 'key':
      return (
        <button type='button' class='pill wait' onClick={() => { asksForKey.value = true }}>🔑 key needed</button>
      )
    case 'ready':
      return now.running + now.waiting === 0
        ? <span class='pill good'>● ready</span>
        : <span class='pill good'>◑ {now.running} running, {now.waiting} waiting</span>
  }
}
