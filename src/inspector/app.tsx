/** The frame: navigation, how the server is, the view that the address selects, one line of status. */
import { effect } from '@preact/signals'
import { KeyDialog, asksForKey } from './parts/key-dialog.js'
import { KeysHelp } from './parts/keys-help.js'
import { DropTarget } from './parts/open-file.js'
import { Pill } from './parts/pill.js'
import { models } from './server/connection.js'
import { link } from './server/link.js'
import { showsKeys } from './state/keyboard.js'
import { theme, themes } from './state/preferences.js'
import { hrefOf, route } from './state/router.js'
import { chosenModel } from './state/model.js'
import { status } from './state/status.js'
import { keyLists, views } from './views/views.js'

// A server that wants a key is asked about once by itself; later by the pill.
let asked = false
effect(() => {
  if (link.value.state !== 'key' || asked) return
  asked = true
  asksForKey.value = true
})

function Navigation () {
  return (
    <nav aria-label='Views'>
      {views.map(({ name, title }) => (
        <a key={name} href={hrefOf(name)} {...(route.value.view === name ? { 'aria-current': 'page' } : {})}>{title}</a>
      ))}
    </nav>
  )
}

function ModelChoice () {
  if (models.value.length === 0) return null
  return (
    <select
      aria-label='Model' value={chosenModel.value}
      onChange={event => { chosenModel.value = event.currentTarget.value }}
    >
      {models.value.map(({ id }) => <option key={id} value={id}>{id}</option>)}
    </select>
  )
}

const themeGlyphs = { system: '◐', light: '☀', dark: '☾' } as const

function ThemeButton () {
  const next = themes[(themes.indexOf(theme.value) + 1) % themes.length]!
  return (
    <button
      type='button' class='quiet'
      aria-label={`Colours: ${theme.value}. Change to ${next}`}
      title={`Colours: ${theme.value}`} onClick={() => { theme.value = next }}
    >
      {themeGlyphs[theme.value]}
    </button>
  )
}

export function App () {
  const view = views.find(({ name }) => name === route.value.view) ?? views[0]!
  return (
    <>
      <a
        class='skip' href='#main'
        onClick={event => {
          event.preventDefault()
          document.querySelector<HTMLElement>('#main')!.focus()
        }}
      >Skip to the content
      </a>
      <header>
        <span class='brand'>
          <svg viewBox='0 0 24 24' aria-hidden='true'>
            <circle cx='12' cy='4.6' r='2.4' />
            <path d='M12 7v14.5M7.5 10.5h9M3.5 13.5c0 4.6 3.6 8 8.5 8s8.5-3.4 8.5-8' />
          </svg>
          Fairlead <span>inspector</span>
        </span>
        <Navigation />
        <div class='server'>
          <Pill />
          <ModelChoice />
          <ThemeButton />
          <button
            type='button' class='quiet'
            aria-label='Keys' title='Keys (?)'
            onClick={() => { showsKeys.value = true }}
          >?
          </button>
        </div>
      </header>
      <main id='main' tabIndex={-1}>
        <DropTarget />
        <h1 class='sr-only'>{view.title}</h1>
        <view.View key={view.name} />
      </main>
      <footer><div role='status' aria-live='polite'>{status.value}</div></footer>
      {asksForKey.value && <KeyDialog />}
      {showsKeys.value && <KeysHelp lists={keyLists} />}
    </>
  )
}
