/** A long piece of work that Ctrl-C ends early, with its progress shown. A second Ctrl-C ends the program. */
import { RequestError } from '../errors.js'
import { Progress } from '../reporting/progress.js'

/** @param work is given a signal that Ctrl-C aborts, and what to tell of its progress */
export async function interruptible<T> (
  work: (signal: AbortSignal, onProgress: (phase: string, done: number, total: number) => void) => Promise<T>
): Promise<T> {
  const interrupted = new AbortController()
  const stop = (): void => {
    interrupted.abort(new RequestError('request_cancelled',
      'interrupted before the first prompt was done; the same command goes on from there'))
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

/** Said of a report that is not of everything. */
export const partly = 'interrupted: the report is of the prompts that were done; the same command goes on from there'
