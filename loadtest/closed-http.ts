/** Closed-loop HTTP load with autocannon: every connection sends its next request when the last is answered. */
import autocannon from 'autocannon'
import { AnswerReader, usageOf } from './answer-reader.js'
import { CpuClock, type LoadSamples, type RequestSample } from './measurement.js'
import type { LoadLimits } from './scenarios.js'

/** What autocannon's client offers beyond its types: chunks of the body as they come. */
interface LoadClient {
  on: (event: 'body' | 'response', listener: (...args: never[]) => void) => void
  setBody: (body: string) => void
}

/** Follows one connection's answers. @returns whether an answer was one */
function follow (client: LoadClient, next: () => string, answered: RequestSample[], failed: () => void): void {
  let [text, reader] = ['', new AnswerReader()]
  client.on('body', ((chunk: Buffer) => {
    const piece = String(chunk)
    text += piece
    reader.piece(piece)
  }) as never)
  client.on('response', ((status: number) => {
    const usage = status === 200 ? usageOf(text) : null
    if (usage) answered.push(reader.end(usage))
    else failed()
    client.setBody(next())
    ;[text, reader] = ['', new AnswerReader()]
  }) as never)
}

/**
 * Sends requests, `connections` at a time.
 * @param body the body of the i-th request
 */
export async function closedHttp (
  url: string, body: (index: number) => object, connections: number, { requests, maxSeconds, signal }: LoadLimits
): Promise<LoadSamples> {
  const answered: RequestSample[] = []
  let [index, errors] = [0, 0]
  const next = (): string => JSON.stringify(body(index++))
  const cpu = new CpuClock()
  const started = performance.now()
  let [ended, generatorCpu] = [started, 0]
  const run = autocannon({
    url: `${url}/v1/chat/completions`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: next(),
    connections,
    amount: requests,
    duration: maxSeconds,
    // Its default of 10 s is shorter than a long answer in a crowd.
    timeout: maxSeconds,
    setupClient: client => {
      const one = client as unknown as LoadClient
      // Each connection begins with a request of its own.
      one.setBody(next())
      follow(one, next, answered, () => { errors++ })
      // The run itself ends on a full second only.
      client.on('response', () => { [ended, generatorCpu] = [performance.now(), cpu.share()] })
    }
  })
  const stop = (): void => { (run as unknown as { stop: () => void }).stop() }
  signal.addEventListener('abort', stop, { once: true })
  const timer = setTimeout(stop, maxSeconds * 1000)
  const result = await run
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)
  return { answered, errors: errors + result.errors, seconds: Math.max(1e-3, (ended - started) / 1000), generatorCpu }
}
