/** What a tiny model reads texts with, open no longer: its tokenizer and its chat template. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { openCheckpoint } from '../../src/models/formats/checkpoint.js'
import type { SourceModel } from '../../src/serving/prompt-thread.js'
import type { PromptModel } from '../../src/serving/prompt-reader.js'
import { writeTinyGguf } from './tiny-gguf.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-tiny-model-'))
after(() => { rmSync(folder, { recursive: true }) })
const path = join(folder, 'tiny.gguf')
writeTinyGguf(path)
const { file, tokenizer, chatTemplate } = await openCheckpoint(path)
await file.close()

export const tinyModel: PromptModel & SourceModel = { path, tokenizer, chatTemplate, contextLength: 512 }
