/** Journals through every door of the API and from the command: what they tell, and what they are not asked for. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Fairlead } from 'fairlead'
import { WebSocket } from 'ws'
import type { Entry, Head } from '../../src/journal/entries.js'
import { fold } from '../../src/journal/fold.js'
import { readJournal } from '../../src/journal/read.js'
import { packageRoot } from '../../src/package-root.js'
import { assertTold, assertUsage } from '../helpers/journals.js'
import { writeTinyGguf } from '../helpers/tiny-gguf.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-journal-'))
const model = join(folder, 'tiny.gguf')
writeTinyGguf(model)
let server: TinyServer
before(async () => { server = await tinyServer() })
after(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

type Json = Record<string, any>

const beams = { strategy: 'beam_search', num_beams: 2, num_children: 2, step: { tokens: 3 }, reward: 'length' }
const chat = { model: 'tiny', messages: [{ role: 'user', content: 'say the' }], max_tokens: 9, seed: 5 }
const asked = { stream_options: { include_journal: true, include_usage: true } }
const entriesOf = (frames: readonly Json[], field = 'journal'): Entry[] => frames.flatMap(frame => frame[field] ?? [])

test('a stream carries the journal on chunks of its own, behind a head that can be posted again', async () => {
  const alignment = { ...beams, return_trace: true }
  const frames = await server.stream('/v1/chat/completions', { ...chat, alignment, ...asked })
  const carrying = frames.filter(frame => frame['journal'])
  assert.ok(carrying.every(({ choices }) => choices.length === 0))
  const entries = entriesOf(frames)
  const run = fold(entries)
  const last = frames.findLast(frame => frame['choices'][0]?.finish_reason)!
  const text = frames.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
  assertTold(run, { alignment: last['alignment'], usage: frames.at(-1)!['usage'], texts: [text] })
  // The usage is the last chunk, as OpenAI has it.
  assert.ok(frames.at(-1)!['usage'])
  assert.deepEqual(entries.map(entry => 't' in entry ? entry.t : 0),
    entries.map(entry => 't' in entry ? entry.t : 0).sort((a, b) => a - b))

  const { request, ...head } = entries[0] as Head
  assert.deepEqual(Object.keys(head), ['journal', 'id', 'created', 'server', 'model', 'fingerprint'])
  assert.match(head.id, /^run_[0-9a-f]{24}$/)
  assert.equal(head.fingerprint, frames[0]!['system_fingerprint'])
  assert.deepEqual(request, {
    ...chat,
    alignment,
    stream: true,
    ...asked,
    stream_options: { ...asked.stream_options, include_obfuscation: false, continuous_usage_stats: false }
  })
  const again = await server.stream('/v1/chat/completions', request)
  assert.equal(again.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), text)
})

test('a plain answer has a journal, too: several choices, each token with its logprob', async () => {
  const frames = await server.stream('/v1/chat/completions', {
    ...chat, n: 3, logprobs: true, stream_options: { include_journal: { pieces: true }, include_usage: true }
  })
  const run = fold(entriesOf(frames))
  assert.equal(run.start!.strategy, 'sample')
  for (const choice of [0, 1, 2]) {
    const own = frames.flatMap(({ choices }) => choices as Json[]).filter(({ index }) => index === choice)
    const lineage = run.candidates.get(choice)!
    const logprobs = own.flatMap(({ logprobs }) => logprobs?.content ?? []) as Array<{ logprob: number }>
    assert.equal(lineage.pieces.join(''), own.map(({ delta }) => delta.content ?? '').join(''))
    assert.equal(lineage.text, lineage.pieces.join(''))
    for (const [place, { logprob }] of logprobs.entries()) {
      assert.ok(Math.abs(lineage.pieceLnPolicy[place]! - logprob) < 0.0051)
    }
    assert.equal(lineage.tokens, lineage.pieces.length)
  }
  assert.deepEqual(run.select, { chosen: [0, 1, 2], rule: 'all' })
  assertUsage(run.done!.usage, frames.at(-1)!['usage'])
})

test('guided tokens list the alternatives asked for, with what guidance made of them', async () => {
  const alignment = { strategy: 'token_guidance', candidates: { top_k: 6 }, strength: 3, reward: 'length' }
  const ask = async (journal: unknown): Promise<Entry[]> => entriesOf(await server.stream('/v1/chat/completions',
    { ...chat, alignment, stream_options: { include_journal: journal } }))
  const { guided, text } = fold(await ask({ alternatives: 4 })).candidates.get(0)!
  assert.ok(guided.length > 0)
  for (const [index, at, piece, taken, kl, share, rest, choices, reward] of guided) {
    assert.equal(index, 0)
    assert.ok(at < 9 && choices.length === 4 && share === 1 && typeof reward === 'number' && kl! >= 0)
    if (taken >= 0) assert.equal(choices[taken]![0], piece)
    assert.deepEqual(choices.map(([, , , lnGuided]) => lnGuided),
      choices.map(([, , , lnGuided]) => lnGuided).sort((a, b) => b - a))
    const listed = choices.reduce((sum, [, lnPolicy]) => sum + Math.exp(lnPolicy), 0)
    assert.ok(Math.abs(listed + rest - 1) < 0.03)
  }
  assert.equal(Buffer.concat(guided.map(([, , piece]) => piece.startsWith('bytes:')
    ? Buffer.from(piece.replaceAll(/bytes:|\\x/g, ''), 'hex')
    : Buffer.from(piece))).toString(), text)
  const plain = fold(await ask(true))
  assert.deepEqual(plain.candidates.get(0)!.guided.map(token => token[7]), guided.map(() => []))
  assert.equal(plain.candidates.get(0)!.text, text)
})

test('legacy completions tell which prompt a journal is of', async () => {
  const frames = await server.stream('/v1/completions',
    { model: 'tiny', prompt: ['a b', 'c d'], max_tokens: 5, seed: 1, ...asked })
  for (const prompt of [0, 1]) {
    const own = frames.filter(frame => frame['journal'] && frame['prompt'] === prompt)
    const text = frames.flatMap(({ choices }) => choices as Json[]).filter(({ index }) => index === prompt)
      .map(({ text }) => text).join('')
    const run = fold(entriesOf(own))
    assert.equal(run.candidates.get(0)!.text, text)
    assert.equal(run.state, 'done')
  }
})

test('a response carries it as events, also where it is written in the background', async () => {
  const body = {
    model: 'tiny',
    input: 'say the',
    max_output_tokens: 6,
    seed: 2,
    alignment: beams,
    stream: true,
    stream_options: { include_journal: true }
  }
  for (const background of [false, true]) {
    const answer = await fetch(`${server.address}/v1/responses`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...body, background })
    })
    const events = (await answer.text()).split('\n').filter(line => line.startsWith('data: '))
      .map(line => JSON.parse(line.slice(6)) as Json)
    const told = events.filter(({ type }) => type === 'response.journal')
    assert.ok(told.every(({ sequence_number: number }) => Number.isInteger(number)))
    const run = fold(entriesOf(told, 'entries'))
    assert.equal(run.state, 'done')
    const { response } = events.at(-1)!
    assert.equal(run.candidates.get(run.select!.chosen[0]!)!.text, response.output[0].content[0].text)
  }
})

test('a socket carries it beside the chunks', async () => {
  const socket = new WebSocket(`${server.address.replace('http', 'ws')}/v1/stream`)
  await once(socket, 'open')
  const events: Json[] = []
  const ended = new Promise<void>(resolve => socket.on('message', data => {
    const event = JSON.parse(String(data)) as Json
    events.push(event)
    if (event['id'] === 'b' && event['type'] !== 'chunk') resolve()
  }))
  const request = { ...chat, alignment: { ...beams, return_trace: true } }
  socket.send(JSON.stringify({ type: 'create', id: 'a', journal: { alternatives: 2 }, request }))
  await new Promise<void>(resolve => socket.on('message', data => {
    if ((JSON.parse(String(data)) as Json)['type'] === 'completed') resolve()
  }))
  socket.send(JSON.stringify({ type: 'create', id: 'b', journal: { alternatives: 21 }, request: chat }))
  await ended
  socket.close()
  const completion = events.find(({ type }) => type === 'completed')!['completion'] as Json
  assertTold(fold(entriesOf(events.filter(({ type }) => type === 'journal'), 'entries')), {
    alignment: completion['alignment'], usage: completion['usage'], texts: [completion['choices'][0].message.content]
  })
  assert.ok(events.every(({ chunk }) => !chunk?.journal))
  assert.match(events.at(-1)!['error'].message, /journal\.alternatives must be .*20/)
})

test('the library streams it and exports the fold', async () => {
  const fairlead = await Fairlead.start({ model, cacheDir: folder, dataDir: join(folder, 'data') })
  try {
    const chunks: Json[] = []
    for await (const chunk of fairlead.stream({
      ...chat, model: fairlead.model.id, messages: [{ role: 'user', content: 'say the' }], ...asked
    })) chunks.push(chunk)
    const run = fold(entriesOf(chunks))
    assert.equal(run.candidates.get(0)!.text, chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''))
    assert.equal(run.head!.model, fairlead.model.id)
  } finally {
    await fairlead.close()
  }
})

test('a journal that fails says why, and one that is asked for wrongly is refused by its field', async () => {
  const frames = await server.stream('/v1/chat/completions', {
    ...chat,
    ...asked,
    alignment: { num_candidates: 2, selection: 'threshold', min_reward: 1e6, fallback: 'error', reward: 'length' }
  })
  const { state, fail } = fold(entriesOf(frames))
  assert.deepEqual([state, fail!.code, fail!.param], ['failed', 'reward_below_threshold', 'alignment.min_reward'])
  assert.equal(frames.at(-1)!['error'].code, 'reward_below_threshold')
  const refusals: ReadonlyArray<readonly [object, RegExp]> = [
    [{ stream: true, stream_options: { include_journal: { alternatives: -1 } } },
      /stream_options\.include_journal\.alternatives must be .*-1/],
    [{ stream: true, stream_options: { include_journal: 'yes' } }, /stream_options\.include_journal must be .*"yes"/],
    [{ stream_options: { include_journal: true } }, /stream_options needs stream: true/]
  ]
  for (const [fields, message] of refusals) {
    const { status, json } = await server.post('/v1/chat/completions', { ...chat, ...fields })
    assert.equal(status, 400)
    assert.match(json['error'].message, message)
  }
})

test('fairlead generate keeps it in a file that fairlead inspect shows', () => {
  const run = (...args: string[]): { code: number | null, out: string, err: string } => {
    const command = join(packageRoot, 'dist/src/cli/main.js')
    const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
      encoding: 'utf8',
      env: { ...process.env, FAIRLEAD_MODEL: model, FAIRLEAD_CACHE_DIR: folder, FAIRLEAD_DATA_DIR: folder }
    })
    return { code: status, out: stdout, err: stderr }
  }
  const [file, picture] = [join(folder, 'run.fairlead.jsonl'), join(folder, 'run.svg')]
  const made = run('generate', 'say the', '--alignment', JSON.stringify(beams), '--max-tokens', '9', '--seed', '5',
    '--journal', file, '--json')
  assert.equal(made.code, 0, made.err)
  const { result } = JSON.parse(made.out) as Json
  const read = readJournal(readFileSync(file, 'utf8'))
  assert.deepEqual([...read.run.candidates.values()].map(({ text }) => text).sort(),
    (result.candidates as Json[]).map(({ text }) => text as string).sort())
  assert.equal(read.run.candidates.get(read.run.select!.chosen[0]!)!.text, result.choices[0].text)
  const shown = run('inspect', file)
  assert.equal(shown.code, 0, shown.err)
  assert.match(shown.out, /beam_search, seed 5.*length × 1/)
  assert.match(shown.out, /step 1: kept \d.*; pruned/)
  assert.match(shown.out, /◀ chosen/)
  assert.equal(run('inspect', file, '--svg', picture).code, 0)
  assert.match(readFileSync(picture, 'utf8'), /^<svg [^]*<\/svg>\n$/)

  writeFileSync(file, 'nothing of the kind\n')
  const refused = run('inspect', file)
  assert.equal(refused.code, 1)
  assert.match(refused.err, /run\.fairlead\.jsonl: this is no Fairlead journal: line 1 is not JSON/)
  const unwritable = run('generate', 'say the', '--journal', join(folder, 'no', 'where'))
  assert.equal(unwritable.code, 1)
  assert.match(unwritable.err, /cannot write .*where \(--journal\)/)
})
