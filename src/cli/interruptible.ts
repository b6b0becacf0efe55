/** Runs long work with a progress display; Ctrl-C ends it early, a second Ctrl-C kills the program. */
import { RequestError } from '../errors.js'
import { Progress } from '../reporting/progress.js'

/** @param work receives a signal that Ctrl-C aborts and a progress callback */
export async function interruptible<T> (
  work: (signal: AbortSignal, onProgress: (phase: string, done: number, total: number) => void) => Promise<T>
): Promise<T> {
  const interrupted = new AbortController()
  const stop = (): void => {
    interrupted.abort(new RequestError('request_cancelled',
      'interrupted before the first prompt was finished; run the same command again to resume'))
  }
  process.once('SIGINT', stop)
  const progress = new Progress()
  try {
    return await work(interrupted.signal, (phase, done, total) => { progress.tell(phase, done, total) })
  } finally {
    progress.end()
    process.off('SIGINT', stop)
  }
}

/** Message for a partial report. */
export const partly = 'interrupted: the report covers the prompts finished so far; run the same command again to resume'
