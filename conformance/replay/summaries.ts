/** Two answers that are too long, or partly times: what of them is compared. */
import type { Json } from './calls.js'
import { digest } from './normalise.js'

const wordings: ReadonlySet<string> = new Set(['description', 'summary'])

/** A description without its wording. */
function withoutWords (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutWords)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([name, inner]) => !wordings.has(name) || typeof inner !== 'string')
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutWords(inner)]))
}

/** Of every operation of `/openapi.json` a digest of its schemas, whatever words describe them. */
export function apiDigest ({ openapi, paths }: Json): Json {
  const operations = Object.entries(paths as Record<string, Json>).flatMap(([path, methods]) => (
    Object.entries(methods).map(([method, operation]) => [`${method} ${path}`, digest(withoutWords(operation))])
  ))
  return { openapi, operations: Object.fromEntries(operations.sort()) }
}

const ofProcess = /^(process|nodejs)_/
/**
 * What is a time, depends on it (steps of the engine, by what happens to ride in one; how often a response is asked for
 * until it has ended), or is covered by sums and counts (buckets).
 */
const unrecorded =
  /_seconds_|_bucket\{|_engine_steps_|handler="\/(ready|version|health)"|\/:id",method="GET",status="200"/

/**
 * Figures of `/metrics` that count what was asked and answered. Left out are times, the process's own figures, what
 * others may have asked of the server before (its state), and the buckets of histograms, whose sums and counts say
 * enough.
 */
export function figures (text: string): Json {
  const lines = text.split('\n')
  const names = lines.flatMap(line => /^# TYPE (\S+ \S+)/.exec(line)?.[1] ?? []).filter(name => !ofProcess.test(name))
  const isRecorded = (line: string): boolean => /^[a-z]/.test(line) && !ofProcess.test(line) && !unrecorded.test(line)
  const values = lines.filter(isRecorded).map(line => {
    const end = line.lastIndexOf(' ')
    return [line.slice(0, end), Number(line.slice(end + 1))]
  })
  return { names, values: Object.fromEntries(values) }
}
