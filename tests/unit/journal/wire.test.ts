import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry, Head } from '../../../src/journal/entries.js'
import { exportedPage, journalMark } from '../../../src/journal/exported.js'
import { fold } from '../../../src/journal/fold.js'
import { JournalError, readJournal } from '../../../src/journal/read.js'
import { runSvg } from '../../../src/journal/svg.js'
import { JournalWriter, lineOf, linesOf, roundedEntry } from '../../../src/journal/wire.js'

const head: Head = {
  journal: 1,
  id: 'run_1',
  created: 0,
  server: '0',
  model: 'm',
  fingerprint: 'fl',
  request: { messages: [{ role: 'user', content: 'Why </script> & <b>?' }] }
}

test('figures are rounded to what is worth reading', () => {
  assert.deepEqual(roundedEntry({ t: 1, score: [[0, 1.23456, [[12.34567, -0.0012345]]]] }),
    { t: 1, score: [[0, 1.235, [[12.346, -0.00123]]]] })
  assert.deepEqual(roundedEntry({ t: 1, score: [[0, 1, [[1, 1, undefined, [0.51234]]]]] } as unknown as Entry),
    { t: 1, score: [[0, 1, [[1, 1, null, [0.512]]]]] })
  assert.deepEqual(roundedEntry({ t: 1, end: [[0, 'dropped', -1.2345, 3], [1, 'stop', -0.004]] }),
    { t: 1, end: [[0, 'dropped', -1.23, 3], [1, 'stop', -0]] })
  assert.deepEqual(roundedEntry({ t: 1, grow: [[0, ['a'], [-0.12345]], [1, 2, 'b']] }),
    { t: 1, grow: [[0, ['a'], [-0.12]], [1, 2, 'b']] })
  assert.deepEqual(roundedEntry({ t: 1, weigh: [[0, 0.123456]], ess: 1.98765 }),
    { t: 1, weigh: [[0, 0.123]], ess: 1.988 })
  assert.deepEqual(
    roundedEntry({
      t: 1, token: [0, 3, 'x', 0, 0.12345, 0.98765, 0.000123456, [['x', -1.234, 0.5555, -0.111]], 2.3456]
    }),
    { t: 1, token: [0, 3, 'x', 0, 0.123, 0.988, 0.000123, [['x', -1.23, 0.556, -0.11]], 2.346] })
})

test('a journal that is full leaves tokens out first, then growth, and says how much', () => {
  const writer = new JournalWriter({ characters: 400, withTokens: 200 })
  const token = (at: number): Entry => ({ t: at, token: [0, at, 'x', -1, 0, 1, 1, []] })
  const grow = (t: number): Entry => ({ t, grow: [[0, 1, 'x'.repeat(10)]] })
  const written = writer.write([
    { t: 0, open: [[0, null, 0, 0]] },
    ...Array.from({ length: 6 }, (_, at) => token(at)),
    grow(7),
    ...Array.from({ length: 20 }, (_, at) => grow(8 + at)),
    { t: 30, end: [[0, 'stop', -3]] },
    { t: 31, score: [[0, 1, []]] },
    { t: 32, done: { kl: { value: 0, kind: null }, stopped_by: null, warnings: [], details: {}, usage: {} as never } }
  ])
  assert.ok(JSON.stringify(written).length < 700)
  const run = fold(written)
  const lost = written.flatMap(entry => 'gap' in entry ? [entry.gap] : []).reduce((a, b) => a + b)
  assert.equal(run.missing, lost)
  assert.equal(lost, 6 + 20 + 1 + 1 - run.candidates.get(0)!.guided.length - (run.candidates.get(0)!.tokens - 0))
  assert.deepEqual([run.state, run.candidates.get(0)!.ended], ['done', 'stop'])
  assert.ok(run.candidates.get(0)!.guided.length > 0 && run.candidates.get(0)!.tokens > 1)
})

test('a file is read back, unknown kinds and keys are passed over', () => {
  const entries = [head, { t: 1, open: [[0, null, 0, 0, 2]], more: 1 }, { t: 2, colour: 'blue' },
    { t: 3, grow: [[0, 1, 'é\u2028']] }] as unknown as Entry[]
  const read = readJournal(`\uFEFF${linesOf(entries)}\n`)
  assert.deepEqual(read.entries, entries)
  assert.equal(read.run.candidates.get(0)!.text, 'é\u2028')
  assert.equal(read.run.head!.id, 'run_1')
})

test('what is no journal is refused by the first line that is none', () => {
  const refused = (text: string, line: number, message: RegExp): void => {
    assert.throws(() => readJournal(text), (error: unknown) =>
      error instanceof JournalError && error.line === line && message.test(error.message), text)
  }
  refused('', 1, /it is empty/)
  refused('hello', 1, /line 1 is not JSON/)
  refused('[1]', 1, /line 1 is not an object/)
  refused('{"t":1}', 1, /line 1 must hold "journal"/)
  refused('{"journal":2}', 1, /made by a newer Fairlead: journal 2, this one reads 1/)
  refused('{"journal":1,"id":3}', 1, /line 1: id must be a string/)
  refused(`${lineOf(head)}{"grow":[]}`, 2, /line 2: t must be a number/)
  refused(`${lineOf(head)}\n{"t":1,"grow":7}`, 3, /line 3 is not an entry/)
})

test('a page and a picture hold hostile text as text', () => {
  const entries: Entry[] = [head, { t: 0, open: [[0, null, 0, 0]] },
    { t: 1, grow: [[0, 2, '</script><img onerror=x>\u2028\uD800']] }, { t: 1, score: [[0, -2, []]] },
    { t: 2, select: { chosen: [0], rule: 'argmax' } }, { t: 2, commit: [[0, 26, 0]] }]
  const page = exportedPage(`<p>${journalMark}</p>`, entries)
  const [, inside] = /<script id="journal" type="application\/json">(.*)<\/script><\/p>$/s.exec(page)!
  assert.ok(!inside!.includes('<') && !inside!.includes('\u2028'))
  assert.deepEqual(JSON.parse(inside!), entries)
  assert.throws(() => exportedPage('<p></p>', entries), /no place for a journal/)
  const svg = runSvg(entries)
  assert.ok(!svg.includes('<img') && !svg.includes('</script>') && svg.includes('&lt;img'))
  assert.ok(!/\p{Surrogate}/u.test(svg))
  assert.match(svg, /★ −2\.00/)
  assert.throws(() => exportedPage('<p></p>', entries), /no place/)
})
