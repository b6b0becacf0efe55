/** Closed-loop HTTP load with autocannon: every connection sends its next request when the last is answered. */
import autocannon from 'autocannon'
import { addUsage, emptySamples, type Samples } from './measurement.js'
import type { Scenario } from './scenarios.js'

/** What autocannon's client offers beyond its types: chunks of the body as they come. */
interface LoadClient {
  on: (event: 'body' | 'response', listener: (...args: never[]) => void) => void
  setBody: (body: string) => void
}

/** Reads one connection's answers. */
function follow (client: LoadClient, samples: Samples, scenario: Scenario, next: () => number): void {
  let text = ''
  let started = performance.now()
  let last = 0
  client.on('body', ((chunk: Buffer) => {
    const now = performance.now()
    const piece = String(chunk)
    text += piece
    // The role comes first, without text.
    if (!scenario.stream || !/"content":"[^"]/.test(piece)) return
    if (last === 0) samples.firstTexts.push(now - started)
    else samples.gaps.push(now - last)
    last = now
  }) as never)
  client.on('response', ((status: number) => {
    if (status === 200) {
      samples.latencies.push(performance.now() - started)
      const usage = usageOf(text)
      if (usage) addUsage(samples, usage)
    } else samples.errors++
    ;[text, last, started] = ['', 0, performance.now()]
    client.setBody(JSON.stringify(scenario.body(next())))
  }) as never)
}

/** The usage of a completion, or of a stream's last chunk but one. */
function usageOf (text: string): Parameters<typeof addUsage>[1] | null {
  const frames = text.startsWith('data: ') ? text.split('\n\n').map(frame => frame.replace(/^data: /, '')) : [text]
  for (const frame of frames.reverse()) {
    if (!frame.includes('"usage":{')) continue
    return (JSON.parse(frame) as { usage: Parameters<typeof addUsage>[1] }).usage
  }
  return null
}

/**
 * Sends `requests` requests of a scenario, `concurrency` at a time, for at most `maxSeconds`.
 * @returns samples, and the seconds from the first request to the last answer
 */
export async function httpLoad (url: string, scenario: Scenario, { requests, maxSeconds, signal }: { requests: number, maxSeconds: number, signal: AbortSignal }): Promise<{ samples: Samples, seconds: number }> {
  const samples = emptySamples()
  let index = 0
  const next = (): number => index++
  const started = performance.now()
  let answered = started
  const run = autocannon({
    url: `${url}/v1/chat/completions`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(scenario.body(next())),
    connections: scenario.concurrency,
    amount: requests,
    duration: maxSeconds,
    // Its default of 10 s is shorter than a long answer in a crowd.
    timeout: maxSeconds,
    setupClient: client => {
      follow(client as unknown as LoadClient, samples, scenario, next)
      // The run itself ends on a full second only.
      client.on('response', () => { answered = performance.now() })
    }
  })
  const stop = (): void => { (run as unknown as { stop: () => void }).stop() }
  signal.addEventListener('abort', stop, { once: true })
  const timer = setTimeout(stop, maxSeconds * 1000)
  const result = await run
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)
  samples.errors += result.errors
  return { samples, seconds: (answered - started) / 1000 }
}
