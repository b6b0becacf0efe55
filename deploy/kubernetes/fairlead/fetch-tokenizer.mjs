/** Fetches a model's tokenizer and chat template from Hugging Face's hub, or a mirror of it, before Fairlead starts. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const { MODEL, FOLDER, HF_ENDPOINT = 'https://huggingface.co', HF_TOKEN } = process.env
const headers = HF_TOKEN ? { authorization: `Bearer ${HF_TOKEN}` } : {}

await mkdir(FOLDER, { recursive: true })
for (const [file, isNeeded] of [['tokenizer.json', true], ['tokenizer_config.json', true],
  ['chat_template.jinja', false]]) {
  const url = `${HF_ENDPOINT}/${MODEL}/resolve/main/${file}`
  const response = await fetch(url, { headers })
  if (response.status === 404 && !isNeeded) continue
  if (!response.ok) throw new Error(`${url}: status ${response.status}`)
  await writeFile(join(FOLDER, file), Buffer.from(await response.arrayBuffer()))
  console.log(`fetched ${url}`)
}
