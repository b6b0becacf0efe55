/** What is loaded when it is first needed, all of it at once: every view but Run, and what saves a run. */
import { SaveDialog } from './parts/save-dialog.js'
import { CompareView } from './views/compare.js'
import { RewardsView } from './views/rewards.js'
import { RunsView } from './views/runs.js'
import { TeachView } from './views/teach/teach.js'

export const later = { CompareView, TeachView, RewardsView, RunsView, SaveDialog }
export type Later = typeof later
