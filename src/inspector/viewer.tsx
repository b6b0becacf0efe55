/** The viewer: one file that holds a run and shows it, from a disk, without a network. */
import { render } from 'preact'
import type { Entry } from '../journal/entries.js'
import { Candidates } from './parts/candidates.js'
import { Cost } from './parts/cost.js'
import { RequestFacts } from './parts/request-facts.js'
import { RunDetail } from './parts/run-detail.js'
import { RunState } from './parts/run-state.js'
import { Scrubber } from './parts/scrubber.js'
import { link } from './server/link.js'
import { listenToKeys } from './state/keyboard.js'
import { Session } from './state/session.js'
import { status } from './state/status.js'

const session = new Session()

function Viewer () {
  const { run } = session.shown.value
  return (
    <>
      <header>
        <span class='brand'>Fairlead <span>run {run.head?.id}</span></span>
        <span class='server'><span class='pill'>◌ replay (file)</span></span>
      </header>
      <main>
        <h1 class='sr-only'>Run {run.head?.id}</h1>
        <div class='run'>
          {run.head && <RequestFacts head={run.head} />}
          <div class='middle'>
            <RunState session={session} />
            <Candidates session={session} />
            <Scrubber session={session} />
            <Cost run={run} />
          </div>
          <RunDetail session={session} />
        </div>
      </main>
      <footer><div role='status' aria-live='polite'>{status.value}</div></footer>
    </>
  )
}

link.value = { state: 'file' }
session.open(JSON.parse(document.querySelector('#journal')!.textContent!) as Entry[], 'this file')
render(<Viewer />, document.querySelector('#app')!)
listenToKeys()
