/** The log for people: what a line says, and where it is one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logStream, textLine } from '../../../src/api/plugins/text-log.js'

const time = new Date(2026, 0, 2, 3, 4, 5).getTime()
const line = (fields: object): string => textLine(JSON.stringify({ level: 30, time, ...fields }))

test('a request is its method, path, status, time, tokens and caller, in this order', () => {
  const request = { method: 'POST', url: '/v1/chat/completions', status: 200, ms: 412, tokens: 64, caller: 'app' }
  assert.equal(line({ ...request, msg: 'answered', reqId: 'x' }),
    '03:04:05 POST /v1/chat/completions 200 412 ms 64 tokens (app)\n')
  assert.equal(line({ ...request, status: 499, caller: undefined, msg: 'client disconnected' }),
    '03:04:05 POST /v1/chat/completions 499 412 ms 64 tokens client disconnected\n')
})

test('an error has its level and its stack; control characters are written out', () => {
  assert.equal(line({ level: 50, msg: 'failed', err: { stack: 'Error: no\n    at one' } }),
    '03:04:05 ERROR failed\n  Error: no\n      at one\n')
  assert.equal(line({ method: 'GET', url: '/\u001b[2J', status: 404, ms: 1 }), '03:04:05 GET /\\u001b[2J 404 1 ms\n')
  assert.equal(line({ msg: 'two\nlines' }), '03:04:05 two\\u000alines\n')
})

test('the address, which the command says, is left out', () => {
  assert.equal(line({ msg: 'Server listening at http://127.0.0.1:8000' }), '')
})

test('a terminal gets text and everything else JSON, unless the setting says otherwise', () => {
  const json = `${JSON.stringify({ level: 30, time, msg: 'hello' })}\n`
  const written = (logFormat: string, isTTY: boolean): string => {
    let text = ''
    const out = { isTTY, write: (chunk: string) => { text += chunk } } as unknown as NodeJS.WriteStream
    logStream({ logFormat }, out).write(json)
    return text
  }
  assert.deepEqual([written('auto', true), written('auto', false), written('text', false), written('json', true)],
    ['03:04:05 hello\n', json, '03:04:05 hello\n', json])
})
