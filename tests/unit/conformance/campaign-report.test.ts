import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundsOf, brokenBounds } from '../../../conformance/campaign/report.js'
import { asAsked, waitsOf, type Outcome, type Waits } from '../../../conformance/campaign/run-attack.js'

const [single, flood, short] = [boundsOf({}, 'full'), boundsOf({ isFlood: true }, 'full'), boundsOf({}, 'short')]
const quick = { p50: 5, p99: 20, longest: 40 }
const solo: Waits = { health: quick, gaps: quick, firstToken: 100, refused: [] }
const harmless: Outcome = {
  name: 'harmless',
  seconds: 4,
  waits: solo,
  tally: { statuses: { 200: 1, 400: 3 }, bytes: 1000, faults: [] },
  most: 2 ** 28,
  after: { resident: 2 ** 28, heap: 2 ** 26 },
  recovered: 0,
  isAlive: true
}

test('an attack that nobody notices breaks no bound, and each kind of harm breaks one', () => {
  assert.deepEqual(brokenBounds(harmless, solo, single), [])
  const waits = (changed: Partial<Waits>): Partial<Outcome> => ({ waits: { ...solo, ...changed } })
  const tally = (changed: Partial<Outcome['tally']>): Partial<Outcome> => ({ tally: { ...harmless.tally, ...changed } })
  const cases: ReadonlyArray<readonly [changed: Partial<Outcome>, said: RegExp]> = [
    [waits({ health: { ...quick, p99: 51 } }), /\/health p99 51 ms/],
    [waits({ gaps: { ...quick, p99: 61 } }), /stream gap p99 61 ms, alone 20 ms/],
    [waits({ firstToken: 10_001 }), /silent for 10\.0 s/],
    [waits({ gaps: { ...quick, longest: 10_001 } }), /silent for 10\.0 s/],
    [waits({ refused: ['stream: 503'] }), /another caller was refused: stream: 503/],
    [tally({ bytes: 2 ** 27 }), /128 MB were sent/],
    [tally({ faults: ['POST /x: 500', 'POST /x: 500'] }), /^POST \/x: 500$/],
    [{ recovered: null }, /not as before after a minute/],
    [{ isAlive: false, recovered: null }, /the server is gone/]
  ]
  for (const [changed, said] of cases) {
    const broken = brokenBounds({ ...harmless, ...changed }, solo, single)
    assert.equal(broken.length, 1, String(said))
    assert.match(broken[0]!, said)
  }
})

test('a flood may slow others down more than a single request, but not as it likes', () => {
  const slowed = { ...harmless, waits: { ...solo, health: { ...quick, p99: 200 }, gaps: { ...quick, p99: 190 } } }
  assert.deepEqual(brokenBounds(slowed, solo, flood), [])
  assert.equal(brokenBounds(slowed, solo, single).length, 2)
  const stopped = { ...harmless, waits: { ...solo, health: { ...quick, p99: 251 }, gaps: { ...quick, p99: 201 } } }
  assert.equal(brokenBounds(stopped, solo, flood).length, 2)
})

test('the short form looks for hangs and errors, not for milliseconds', () => {
  const slow = { ...harmless, waits: { ...solo, health: { ...quick, p99: 900 }, gaps: { ...quick, p99: 2000 } } }
  assert.deepEqual(brokenBounds(slow, solo, short), [])
  const faulty = { ...slow, tally: { ...slow.tally, faults: ['POST /x: 500'] } }
  assert.deepEqual(brokenBounds(faulty, solo, short), ['POST /x: 500'])
})

test('one long wait among many short ones is what most of those would have met who asked in that time', () => {
  assert.deepEqual(asAsked([10, 100], 25), [10, 100, 75, 50, 25])
  const health = [...new Array<number>(1000).fill(5), 30_000]
  assert.ok(waitsOf({ health, gaps: [100], firstTokens: [], refused: [] }).health.p99 > 25_000)
})
