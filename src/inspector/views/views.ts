/** The views, as the navigation lists them. */
import type { ComponentType } from 'preact'
import type { KeyList } from '../parts/keys-help.js'
import { RunView, runKeys } from './run.js'
import { TeachView, teachKeys } from './teach/teach.js'

export interface View {
  readonly name: string
  readonly title: string
  readonly View: ComponentType
  readonly keys: readonly KeyList[]
}

export const views: readonly [View, ...View[]] = [
  { name: 'run', title: 'Run', View: RunView, keys: runKeys },
  { name: 'teach', title: 'Teach', View: TeachView, keys: teachKeys }
]
