import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeText } from '../../src/text-file.js'

test('a byte order mark is no part of a text; bytes that are not UTF-8 are refused with their line', () => {
  assert.equal(decodeText(Buffer.from('\ufeff{"a": "é"}\n'), 'f'), '{"a": "é"}\n')
  assert.equal(decodeText(Buffer.alloc(0), 'f'), '')
  const refused = (bytes: Buffer, message: RegExp): void => {
    assert.throws(() => decodeText(bytes, 'train.jsonl'), message)
  }
  refused(Buffer.from('one\ntwo\ncafé\n', 'latin1'), /^RequestError: train\.jsonl:3: must be UTF-8; .*Latin-1/)
  refused(Buffer.from('café', 'latin1'), /train\.jsonl:1:/)
  refused(Buffer.from('\ufeffa', 'utf16le'), /train\.jsonl:1: .*it is UTF-16/)
})
