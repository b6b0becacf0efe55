/** One server with several models, and one for each alone: what the first answers is compared with what each does. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeTinyCheckpoint } from './tiny-checkpoint.js'
import { writeTinyGguf } from './tiny-gguf.js'
import { tinyServer, type TinyServer } from './tiny-server.js'
import { chatTemplate, merges, tinyVocabulary } from './tiny-vocabulary.js'

export type Json = Record<string, any>

export const folder = mkdtempSync(join(tmpdir(), 'fairlead-models-'))
export const file = (name: string): string => join(folder, `${name}.gguf`)
writeTinyGguf(file('tiny'))
// Another width, depth, context and template.
writeTinyGguf(file('small'), {
  seed: 7,
  layers: 3,
  hiddenSize: 32,
  queryHeads: 2,
  kvHeads: 1,
  contextLength: 256,
  metadata: { 'tokenizer.chat_template': chatTemplate.replaceAll('<|im_end|>', ' the<|im_end|>') }
})
writeTinyGguf(file('strange'), {
  seed: 9,
  metadata: {
    'tokenizer.ggml.tokens': tinyVocabulary.map((token, id) => id === tinyVocabulary.length - 1 ? 'zzz' : token),
    'tokenizer.ggml.merges': merges.slice(0, -1)
  }
})
writeTinyCheckpoint(join(folder, 'judge'), { family: 'llama', head: 'score' })

const members = { outcome: { normalization: { mean: 0, std: 1, pool: 'none' } } }
const rewardsDir = join(folder, 'rewards')
mkdirSync(rewardsDir)
for (const reward of [
  { name: 'sure', kind: 'confidence', measure: 'mean_logprob', members },
  { name: 'nearer', kind: 'log_ratio', toward: { system: 'the an' }, away: {}, members },
  { name: 'judged', kind: 'classifier', model: '../judge', format: 'f32', members }
]) writeFileSync(join(rewardsDir, `${reward.name}.json`), JSON.stringify({ description: 'x', ...reward }))

const settings = `
profiles:
  short-2:
    alignment: {strategy: best_of_n, num_candidates: 2, rewards: [{name: length, weight: -1}]}
  sure-3:
    model: other
    alignment: {strategy: best_of_n, num_candidates: 3, reward: sure}
`

export interface ModelServers {
  /** Serves tiny, other and strange, and contrasts with expert. */
  readonly both: TinyServer
  /** Servers with one model each; `other` is called small there. */
  readonly alone: Readonly<Record<'tiny' | 'other', TinyServer>>
  /** Closes all and removes their files. */
  close (): Promise<void>
}

export async function modelServers (): Promise<ModelServers> {
  writeFileSync(join(folder, 'settings.yaml'), settings)
  const own = { cacheDir: folder, rewardsDir, format: 'f32' }
  const both = await tinyServer({
    ...own,
    model: file('tiny'),
    moreModels: `other=${file('small')},strange=${file('strange')}`,
    contrastModels: `expert=${file('small')}`,
    dataDir: join(folder, 'data'),
    config: join(folder, 'settings.yaml')
  })
  const alone = {
    tiny: await tinyServer({ ...own, model: file('tiny') }), other: await tinyServer({ ...own, model: file('small') })
  }
  return {
    both,
    alone,
    async close () {
      for (const server of [both, ...Object.values(alone)]) await server.close()
      rmSync(folder, { recursive: true })
    }
  }
}

export const get = async (server: TinyServer, path: string): Promise<Json> =>
  await (await fetch(`${server.address}${path}`)).json() as Json
export const messages = [{ role: 'user' as const, content: 'the an' }]
export const sampling = { max_tokens: 12, ignore_eos: true }

export async function chat (server: TinyServer, body: object): Promise<Json> {
  const { status, json } = await server.post('/v1/chat/completions', { messages, ...sampling, ...body })
  assert.equal(status, 200, JSON.stringify(json))
  return json
}
export const textOf = (completion: Json): string => completion['choices'][0].message.content as string
