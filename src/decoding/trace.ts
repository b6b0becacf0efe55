/** Remembers a search's steps for its result. Knows no strategy: it reads what they report as they go. */
import type { DecodeEvent, ProgressCandidate } from './events.js'
import type { TraceStep } from './result.js'

const traced = ({ index, reward }: ProgressCandidate): readonly [number, number | null] => [index, reward]

/**
 * The same events, the last one with the trace.
 * @param shown whether steps are passed on as they happen, too
 */
export async function * withTrace (
  events: AsyncIterable<DecodeEvent>, shown: boolean
): AsyncGenerator<DecodeEvent, void, undefined> {
  const trace: TraceStep[] = []
  for await (const event of events) {
    if (event.type === 'progress') {
      const { step, candidates } = event
      trace.push({
        step,
        kept: candidates.filter(one => one.kept).map(traced),
        dropped: candidates.filter(one => !one.kept).map(traced)
      })
      if (!shown) continue
    }
    yield event.type === 'end' ? { ...event, result: { ...event.result, trace } } : event
  }
}
