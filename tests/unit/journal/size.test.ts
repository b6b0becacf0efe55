/** How large a journal becomes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Recorder, type Recordable } from '../../../src/journal/recorder.js'
import { JournalWriter, lineOf } from '../../../src/journal/wire.js'
import { packageRoot } from '../../../src/package-root.js'

/** Characters of a token of English, on average. */
const charactersPerToken = 4.6

/** An answer that grows, as the recorder sees one. */
class Growing implements Recordable {
  readonly index: number
  readonly parent = null
  drawn = 0
  text = ''
  logprob = 0
  finishReason: 'length' | null = null
  readonly isCutShort = false
  readonly prunedAt = null
  score: Recordable['score'] = null

  constructor (index: number) { this.index = index }

  get certainText (): string { return this.text }

  grow (source: string): void {
    const at = Math.round(this.drawn * charactersPerToken)
    const to = Math.round(++this.drawn * charactersPerToken)
    for (let place = at; place < to; place++) this.text += source[(this.index * 997 + place) % source.length]!
    this.logprob -= 2
  }
}

/** Bytes of the journal of answers that grow side by side. @param tokenMs how long a token of each takes */
function journalBytes (candidates: number, tokens: number, source: string, tokenMs: number): number {
  let [bytes, clock] = [0, 0]
  const writer = new JournalWriter()
  const recorder = new Recorder({ now: () => clock })
  const growing = Array.from({ length: candidates }, (_, index) => new Growing(index))
  const write = (): void => {
    for (const entry of writer.write(recorder.take())) bytes += Buffer.byteLength(lineOf(entry))
  }
  recorder.open(growing)
  for (let token = 0; token < tokens; token++) {
    clock += tokenMs
    for (const one of growing) {
      one.grow(source)
      recorder.drew(one)
    }
    write()
  }
  for (const one of growing) {
    one.finishReason = 'length'
    one.score = { value: one.index / 7, rewards: {} }
    recorder.score([one])
  }
  write()
  return bytes
}

test('the journal of the best of 64 answers of 512 tokens has at most 250 kB', () => {
  const chats = readFileSync(join(packageRoot, 'models', 'calibration', 'chats.json'), 'utf8')
  const source = (JSON.parse(chats) as string[][]).flat().join(' ').replaceAll(/\s+/g, ' ')
  // A pass of 64 rows of the default model takes some 60 ms on two cores.
  const bytes = journalBytes(64, 512, source, 60)
  assert.ok(bytes > 64 * 512 * 4 && bytes <= 250_000, String(bytes))
})
