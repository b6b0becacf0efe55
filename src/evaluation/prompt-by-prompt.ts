/** Works through prompts, several side by side, and keeps what was done when it is interrupted. */
import { setMaxListeners } from 'node:events'
import { sideBySide } from '../bounded-concurrency.js'
import type { OnProgress } from './sampling-runs.js'

/** Prompts drawn side by side: enough for configurations that draw one answer to fill the engine's steps. */
const promptsAtOnce = 6

/**
 * @param work on one item @param after on what all of them gave, in their order
 * @returns what was done by the time it ended or was interrupted, in the items' order
 * @throws the signal's reason where nothing was done
 */
export async function promptByPrompt<Item, Done> (
  items: readonly Item[], signal: AbortSignal, onProgress: OnProgress, work: (item: Item) => Promise<Done>,
  after: (done: readonly Done[]) => Promise<void>
): Promise<Done[]> {
  setMaxListeners(0, signal)
  const done = new Map<Item, Done>()
  const all = (): Done[] => items.flatMap(item => done.has(item) ? [done.get(item)!] : [])
  try {
    onProgress('prompts', 0, items.length)
    await sideBySide(items, promptsAtOnce, async item => {
      done.set(item, await work(item))
      onProgress('prompts', done.size, items.length)
    })
    await after(all())
  } catch (error) {
    if (!signal.aborted || done.size === 0) throw error
  }
  return all()
}
