/** Files of models and rewards that are tried with something odd in them, and how each kind is read. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Variant } from '../../../src/models/formats/adapted-model.js'
import { openCheckpoint } from '../../../src/models/formats/checkpoint.js'
import { encodeChat } from '../../../src/models/tokenizer/chat-template.js'
import { loadOnnxClassifier } from '../../../src/models/onnx-classifier.js'
import { packageRoot } from '../../../src/package-root.js'
import { loadRewards } from '../../../src/rewards/descriptor.js'
import { mutateBytes, mutateJson } from '../../../tests/helpers/hostile-files.js'
import { tinyCheckpoints, writeTinyCheckpoint } from '../../../tests/helpers/tiny-checkpoint.js'
import { tinyGguf } from '../../../tests/helpers/tiny-gguf.js'

type Random = () => number
/** Writes files with something odd in them; as they were where it is given no random numbers. */
type Change = (random: Random | null) => void

/** A kind of file. */
export interface FileKind {
  /** Writes what is changed later into an empty folder. @returns what changes it */
  prepare (folder: string): Change
  /** Reads it as the server does. @throws RequestError for what it should refuse */
  read (folder: string): Promise<void>
}

const fixtures = join(packageRoot, 'tests', 'fixtures')

/** Reads a model with all its tensors, its tokenizer and its template. */
async function readModel (path: string, variant?: Variant): Promise<void> {
  const { file, tokenizer, chatTemplate } = await openCheckpoint(path, undefined, variant)
  try {
    for (const name of file.tensors.keys()) await file.read(name)
    tokenizer.encode('hello <|im_end|> '.repeat(50))
    encodeChat(chatTemplate, tokenizer, [{ role: 'user', content: 'hi' }])
  } finally {
    await file.close()
  }
}

/** Changes the beginning of a file of bytes. */
const changingBytes = (path: string, header: (bytes: Buffer) => number): Change => {
  const bytes = readFileSync(path)
  const size = header(bytes)
  return random => { writeFileSync(path, random ? mutateBytes(bytes, size, random) : bytes) }
}

/** Changes one of some JSON files; the others are as they were. */
const changingJson = (folder: string, names: readonly string[]): Change => {
  const texts = names.map(name => readFileSync(join(folder, name), 'utf8'))
  return random => {
    const changed = random ? Math.floor(random() * names.length) : -1
    for (const [index, text] of texts.entries()) {
      writeFileSync(join(folder, names[index]!),
        random && index === changed ? mutateJson(JSON.parse(text), random) : text)
    }
  }
}

/** Changes one of two, and leaves the other as it was. */
const eitherOf = (one: Change, other: Change): Change => random => {
  const [changed, kept] = random && random() < 0.5 ? [one, other] : [other, one]
  kept(null)
  changed(random)
}

const safetensorsHeader = (bytes: Buffer): number => 8 + Number(bytes.readBigUInt64LE(0))

/** Pieces that templates are made of, some without an end. */
const templatePieces = [
  '{% for m in messages %}', '{% endfor %}', '{{ m.content }}', "{{ messages[0]['content'] * 9999999 }}",
  '{% for a in range(99999999) %}', '{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}',
  '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', "{{ 'a'.join(messages) }}", '{% if x %}', '{% endif %}',
  '{{ (((((1', '{% set x = namespace(a=1) %}', "{{ '%s' % m }}", '{# ', '{{ messages | tojson }}',
  '{{ constructor.constructor }}', '\r\n', '{% while true %}', '{{ x.__proto__ }}', '{{ [1] * 99999999 }}',
  '('.repeat(5000), '{{ '.repeat(2000)
]

const pieces = (random: Random): string => Array.from({ length: 1 + Math.floor(random() * 6) }, () =>
  templatePieces[Math.floor(random() * templatePieces.length)]!).join('')

/** Patterns of pre-tokenizers that a backtracking engine tries in exponentially many ways, and others. */
const regexes = ['(a+)+$', '(a|a)*b', '^(\\w+\\s?)*$', '(?=(a+))\\1+b', '\\p{L}+', '(', '[', '(?<!a{1,9999})b',
  '.'.repeat(50_000), '((a{0,99}){0,99}){0,99}c']

/** Every kind, by name. */
export const fileKinds: Readonly<Record<string, FileKind>> = {
  gguf: {
    prepare (folder) {
      const path = join(folder, 'model.gguf')
      writeFileSync(path, tinyGguf({ layers: 1, feedForwardSize: 64 }))
      return changingBytes(path, bytes => bytes.indexOf('blk.0.ffn_down.weight') + 100)
    },
    read: folder => readModel(join(folder, 'model.gguf'))
  },
  safetensors: {
    prepare (folder) {
      writeTinyCheckpoint(folder, { family: 'qwen2', dtype: 'BF16' })
      return changingBytes(join(folder, 'model.safetensors'), safetensorsHeader)
    },
    read: folder => readModel(folder)
  },
  json: {
    prepare (folder) {
      writeTinyCheckpoint(folder, { family: 'llama', head: 'untied', shards: 2 })
      return changingJson(folder,
        ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors.index.json'])
    },
    read: folder => readModel(folder)
  },
  template: {
    prepare: folder => {
      writeTinyCheckpoint(folder, { family: 'llama' })
      return random => { if (random) writeFileSync(join(folder, 'chat_template.jinja'), pieces(random)) }
    },
    read: folder => readModel(folder)
  },
  pretokenizer: {
    prepare: folder => {
      writeTinyCheckpoint(folder, { family: 'llama' })
      const path = join(folder, 'tokenizer.json')
      const json = JSON.parse(readFileSync(path, 'utf8')) as object
      return random => {
        if (!random) return
        const pattern = { Regex: regexes[Math.floor(random() * regexes.length)]! }
        const parts = [{ type: 'Split', pattern, behavior: 'Isolated', invert: false },
          { type: 'ByteLevel', add_prefix_space: false, use_regex: false }]
        writeFileSync(path,
          JSON.stringify({ ...json, pre_tokenizer: { type: 'Sequence', pretokenizers: parts } }))
      }
    },
    read: folder => readModel(folder)
  },
  adapter: {
    prepare (folder) {
      writeTinyCheckpoint(join(folder, 'base'), tinyCheckpoints['llama']!)
      mkdirSync(join(folder, 'adapter'))
      cpSync(join(fixtures, 'tiny-adapter'), join(folder, 'adapter'), { recursive: true })
      return eitherOf(changingJson(join(folder, 'adapter'), ['adapter_config.json']),
        changingBytes(join(folder, 'adapter', 'adapter_model.safetensors'), safetensorsHeader))
    },
    read: folder => readModel(join(folder, 'base'), { layers: 1, adapter: join(folder, 'adapter') })
  },
  onnx: {
    prepare (folder) {
      cpSync(join(fixtures, 'tiny-bert'), folder, { recursive: true })
      return eitherOf(changingJson(folder, ['config.json', 'tokenizer.json', 'tokenizer_config.json']),
        changingBytes(join(folder, 'model.onnx'), ({ length }) => length))
    },
    async read (folder) {
      const classifier = await loadOnnxClassifier(folder, { threads: 1, inTurn: run => run() })
      classifier.dispose()
    }
  },
  descriptor: {
    prepare (folder) {
      const built = JSON.parse(readFileSync(join(packageRoot, 'models', 'rewards', 'positive.json'), 'utf8')) as unknown
      return random => { if (random) writeFileSync(join(folder, 'odd.json'), mutateJson(built, random)) }
    },
    async read (folder) { await loadRewards([folder]) }
  }
}
