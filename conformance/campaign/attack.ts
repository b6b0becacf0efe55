/** What an attack is, and what it sends with: every answer is counted, server errors by name. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import type { Holder, Victim } from './target.js'

/** Answers that an attack got. */
export interface Tally {
  /** How many by status; 0 for no answer. */
  readonly statuses: Record<number, number>
  /** Of all answers. */
  bytes: number
  /** What must not be: server errors, and promises that an attack found broken. */
  readonly faults: string[]
}

export interface Answer { readonly status: number, readonly text: string, readonly ms: number }

/** How a request is sent. */
export interface SendOptions {
  readonly holder?: Holder
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
  /** Ends it from the client's side. */
  readonly signal?: AbortSignal
}

/** What an attack works with. */
export interface Attacker {
  readonly victim: Victim
  readonly tally: Tally
  /** In [0, 1), the same for the same seed. */
  readonly random: () => number
  /** Aborted when the attack's time is over. */
  readonly over: AbortSignal
  /** Sends a body: an object as JSON, a text or bytes as they are. Answers are kept in part, counted as a whole. */
  send (path: string, body: object | string | Uint8Array, options?: SendOptions): Promise<Answer>
}

/** One way to do harm. */
export interface Attack {
  readonly name: string
  /** What is sent, in a line. */
  readonly what: string
  /** Whether it is many requests at once, or without a pause: it takes more of the machine than one caller’s share. */
  readonly isFlood?: true
  /** How many times as long as others it may go on. Default 1. */
  readonly longer?: number
  /** Sends it, and ends when it is answered or the time is over. */
  run (attacker: Attacker): Promise<void>
}

/** What may be sent: path, body and how. */
export type Sending = readonly [path: string, body: object | string | Uint8Array, options?: SendOptions]

/** Between two requests of one caller who waits for each answer, ms. */
const betweenMs = 50

/** Sends one after the other. */
export async function sendInTurn ({ send, over }: Attacker, sendings: Iterable<Sending>): Promise<void> {
  for (const sending of sendings) {
    if (over.aborted) return
    await send(...sending)
    await sleep(betweenMs)
  }
}

/** Characters of an answer that are kept. */
const keptCharacters = 1 << 16

/** Reads an answer to its end. */
async function readAnswer (body: AsyncIterable<Buffer>, tally: Tally): Promise<string> {
  let text = ''
  for await (const chunk of body) {
    tally.bytes += chunk.length
    if (text.length < keptCharacters) text += chunk.toString()
  }
  return text
}

/** Notes an answer. */
export function count (tally: Tally, status: number, what: string): void {
  tally.statuses[status] = (tally.statuses[status] ?? 0) + 1
  if (status >= 500) tally.faults.push(what)
}

/** An attacker against a server, and what frees its connections. */
export function makeAttacker (
  victim: Victim, random: () => number, over: AbortSignal
): { attacker: Attacker, close: () => Promise<void> } {
  const dispatcher = new Agent({ connections: 64, bodyTimeout: 0, headersTimeout: 0 })
  const tally: Tally = { statuses: {}, bytes: 0, faults: [] }
  const attacker: Attacker = {
    victim,
    tally,
    random,
    over,
    async send (path, body, { holder = 'attacker', headers = {}, method = 'POST', signal = over } = {}) {
      const raw = typeof body === 'string' || body instanceof Uint8Array
      const began = performance.now()
      try {
        const { statusCode, body: answer } = await request(`${victim.url}${path}`, {
          method: method as 'POST',
          headers: { authorization: `Bearer ${victim.keys[holder]}`, 'content-type': 'application/json', ...headers },
          body: method === 'GET' || method === 'HEAD' ? null : raw ? body : JSON.stringify(body),
          dispatcher,
          signal: signal === over ? over : AbortSignal.any([signal, over])
        })
        const text = await readAnswer(answer, tally)
        count(tally, statusCode, `${method} ${path}: ${statusCode} ${text.slice(0, 200)}`)
        return { status: statusCode, text, ms: performance.now() - began }
      } catch {
        count(tally, 0, '')
        return { status: 0, text: '', ms: performance.now() - began }
      }
    }
  }
  return { attacker, close: () => dispatcher.destroy() }
}
