/** The views, as the navigation lists them. */
import type { ComponentType } from 'preact'
import type { KeyList } from '../parts/keys-help.js'
import { CompareView, compareKeys } from './compare.js'
import { RewardsView } from './rewards.js'
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
  { name: 'compare', title: 'Compare', View: CompareView, keys: compareKeys },
  { name: 'teach', title: 'Teach', View: TeachView, keys: teachKeys },
  { name: 'rewards', title: 'Rewards', View: RewardsView, keys: [] }
]
