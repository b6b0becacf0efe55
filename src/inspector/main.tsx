/** The page: asks the server how it is, and shows what the address selects. */
import { render } from 'preact'
import { App } from './app.js'
import { watchServer } from './server/connection.js'
import { keepRuns } from './state/kept-runs.js'
import { listenToKeys } from './state/keyboard.js'

render(<App />, document.querySelector('#app')!)
listenToKeys()
keepRuns()
watchServer()
