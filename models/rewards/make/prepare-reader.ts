/**
 * First step of making positive_reader: writes the training texts as tokens, by the product's own tokenizer and
 * template, for train-reader.py.
 *
 *   node dist/models/rewards/make/prepare-reader.js --data DIR --out FILE.json [--model NAME|PATH]
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { loadConfig } from '../../../src/config.js'
import { encodeChat } from '../../../src/models/tokenizer/chat-template.js'
import { openCheckpoint } from '../../../src/models/formats/checkpoint.js'
import { resolveModel } from '../../../src/models/store/model-store.js'
import { answerTemplate, toneData, type Text } from './reader-data.js'
import { log } from './setup.js'

const { values: { data, out, model } } = parseArgs({
  options: {
    data: { type: 'string', default: '' },
    out: { type: 'string', default: '' },
    model: { type: 'string', default: 'smollm2-135m' }
  }
})
if (out === '') throw new Error('--out FILE must name the file to write')
const { path } = await resolveModel(model, { cacheDir: loadConfig({}).cacheDir, onProgress: log })
const { file, tokenizer, chatTemplate } = await openCheckpoint(path, answerTemplate)
await file.close()

const encode = (texts: readonly Text[]): object[] => texts.map(({ text, label }) => ({
  label,
  tokens: encodeChat(chatTemplate, tokenizer, [{ role: 'assistant', content: text }],
    { addGenerationPrompt: false }).tokens
}))
const { train, keptBack } = await toneData(data)
await writeFile(out, JSON.stringify({ base: path, train: encode(train), keptBack: encode(keptBack) }))
log(`${train.length} texts to train on and ${keptBack.length} kept back, in ${out}`)
