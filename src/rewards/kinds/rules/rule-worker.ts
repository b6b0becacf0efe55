/** The rule thread: scores one answer at a time. Slow rules hold up nobody but each other. */
import { parentPort } from 'node:worker_threads'
import { RequestError } from '../../../errors.js'
import type { FromRuleThread, RuleJob } from './rule-thread.js'
import type { RuleScore } from './rule.js'
import { rules } from './rules.js'

if (!parentPort) throw new Error('this file runs in a Worker')
const port = parentPort

/** Rules by their descriptors' text. */
const compiled = new Map<string, RuleScore>()

function scoreOf (descriptor: string): RuleScore {
  const fields = JSON.parse(descriptor) as { readonly rule: keyof typeof rules } & Readonly<Record<string, unknown>>
  const score = compiled.get(descriptor) ?? rules[fields.rule].compile(fields)
  compiled.set(descriptor, score)
  return score
}

async function reply ({ descriptor, answer, prompt }: RuleJob): Promise<FromRuleThread> {
  try {
    return { raw: await scoreOf(descriptor)(answer, prompt) }
  } catch (error) {
    return error instanceof RequestError ? { refused: error.toData() } : { problem: (error as Error).message }
  }
}

port.postMessage('ready' satisfies FromRuleThread)
port.on('message', async (job: RuleJob) => { port.postMessage(await reply(job)) })
