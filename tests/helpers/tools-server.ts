/**
 * A server whose tiny model has room for tools (its vocabulary has a token for each letter), with the openai client,
 * and the functions that tests have called.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import OpenAI from 'openai'
import type { SettingName } from '../../src/settings.js'
import { writeTinyGguf } from './tiny-gguf.js'
import { tinyServer, type TinyServer } from './tiny-server.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-tools-'))
after(() => { rmSync(folder, { recursive: true }) })

export interface ToolsServer extends TinyServer { readonly client: OpenAI }

/** @param template the model's chat template; default the tiny model's own, which does not tell of tools */
export async function toolsServer ({ template, settings = {}, files = {} }: {
  template?: string, settings?: Partial<Record<SettingName, string>>, files?: Readonly<Record<string, string>>
} = {}): Promise<ToolsServer> {
  const model = join(mkdtempSync(join(folder, 'model-')), 'tiny.gguf')
  writeTinyGguf(model,
    { contextLength: 4096, ...(template === undefined ? {} : { metadata: { 'tokenizer.chat_template': template } }) })
  const server = await tinyServer({ model, ...settings }, files)
  return { ...server, client: new OpenAI({ baseURL: `${server.address}/v1`, apiKey: 'none', maxRetries: 0 }) }
}

export const parameters = {
  type: 'object',
  properties: { city: { enum: ['Oslo', 'Rome'] }, days: { type: 'integer', minimum: 1, maximum: 9 } },
  required: ['city', 'days'],
  additionalProperties: false
}

/** Functions by their fields, as responses have them: one held to its parameters, one without any. */
export const functions = [
  { name: 'get_weather', description: 'the weather of a city', strict: true, parameters },
  { name: 'get_time', strict: null, parameters: null }
]

/** The same as chats have them. */
export const tools =
  functions.map(one => ({ type: 'function' as const, function: one })) as OpenAI.ChatCompletionFunctionTool[]

/** Checks the arguments of a call. */
export function checkArguments (name: string, text: string): void {
  const given = JSON.parse(text)
  if (name === 'get_time') assert.deepEqual(given, {})
  else assert.ok(['Oslo', 'Rome'].includes(given.city) && given.days >= 1 && given.days <= 9, text)
}
