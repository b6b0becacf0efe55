/**
 * The views, as the navigation lists them. Run comes with the page; others are loaded when they are first looked at.
 */
import type { ComponentType } from 'preact'
import type { KeyList } from '../parts/keys-help.js'
import { loaded } from '../parts/loaded.js'
import { RunView } from './run.js'

export interface View {
  readonly name: string
  readonly title: string
  readonly View: ComponentType
}

export const views: readonly [View, ...View[]] = [
  { name: 'run', title: 'Run', View: RunView },
  { name: 'compare', title: 'Compare', View: loaded(({ CompareView }) => CompareView) },
  { name: 'teach', title: 'Teach', View: loaded(({ TeachView }) => TeachView) },
  { name: 'rewards', title: 'Rewards', View: loaded(({ RewardsView }) => RewardsView) },
  { name: 'runs', title: 'Runs', View: loaded(({ RunsView }) => RunsView) }
]

/** Every key, by where it acts. */
export const keyLists: readonly KeyList[] = [
  {
    where: 'Everywhere',
    keys: [['g r · g c · g t · g w · g h', 'go to Run, Compare, Teach, Rewards, Runs'], ['?', 'this list'],
      ['Ctrl/⌘ Enter', 'run'], ['Esc', 'stop, or close what is open']]
  },
  {
    where: 'Candidates',
    keys: [['↑ ↓', 'previous, next'], ['→ ←', 'first child, parent'], ['Home End', 'first, last'],
      ['Enter', 'its tokens'], ['Space', 'pin for Compare'], ['Menu, or Shift F10', 'what can be done with it'],
      ['c', 'the chosen one'], ['p', 'hide or show dropped ones']]
  },
  {
    where: 'Lines between columns',
    keys: [['← →', 'move it'], ['Home End', 'narrowest, widest'], ['Enter', 'as at first']]
  },
  { where: 'Tokens', keys: [['← →', 'previous, next token'], ['Enter', 'what was there to choose from']] },
  { where: 'Runs', keys: [['/', 'filter']] },
  { where: 'Replay', keys: [['Space', 'play, pause'], [', .', 'one step back, on']] },
  {
    where: 'Teach and votes',
    keys: [['1 or ←', 'left is better'], ['2 or →', 'right is better'], ['0 or ↓', 'about the same'], ['s', 'skip'],
      ['u', 'take the last rating back'], ['e', 'put an answer into better words']]
  }
]
