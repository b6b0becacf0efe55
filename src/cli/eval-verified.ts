/** `fairlead eval-verified`: how often answers pass a program's checks, and what that costs in the server and in a client that asks again. */
import { loadConfig } from '../config.js'
import { evaluateVerified, loadConstraints, type VerifiedOptions } from '../evaluation/verified.js'
import { writeVerified } from '../evaluation/verified-report.js'
import { createHost } from '../inference/host.js'
import { environmentOf } from '../reporting/environment.js'
import { refuse } from '../validation.js'
import { say, type Command } from './command.js'
import { interruptible, partly } from './interruptible.js'
import { engineOptions, integerOption, settingFlags, type Options } from './options.js'

const options: Options = {
  limit: { type: 'string', help: 'prompts, of 300 the first ones; six kinds in turn', default: '60' },
  candidates: { type: 'string', help: 'answers to each prompt at most, 2 to 128', default: '32' },
  'max-tokens': { type: 'string', help: 'tokens of an answer, at most', default: '48' },
  out: { type: 'string', help: 'folder of what was drawn, which is used again, and of the report', default: 'fairlead-eval-verified' },
  ...engineOptions
}

export const verifiedEvaluation: Command = {
  name: 'eval-verified',
  usage: '[OPTIONS]',
  summary: 'measures how often answers pass a program’s checks: plain, adaptive best-of-n, beams, a client’s retry loop',
  options,
  mostPositionals: 0,
  async run (values) {
    const candidates = integerOption(values, 'candidates', 32, 2)
    if (candidates > 128) throw refuse('--candidates', 'must be an integer from 2 to 128', values['candidates'])
    const limit = integerOption(values, 'limit', 60)
    const { length } = loadConstraints()
    if (limit > length) throw refuse('--limit', `must be an integer from 1 to ${length}`, values['limit'])
    const given: VerifiedOptions = { limit, candidates, maxTokens: integerOption(values, 'max-tokens', 48), folder: String(values['out'] ?? 'fairlead-eval-verified') }
    const environment = environmentOf('fairlead eval-verified', process.argv.slice(3))
    const host = await createHost(loadConfig(settingFlags(values)), say)
    try {
      const result = await interruptible((signal, onProgress) => evaluateVerified(host, given, signal, onProgress))
      const { folder, ...setting } = given
      console.log(await writeVerified(folder, result, { ...setting, fingerprint: host.model.fingerprint }, environment))
      if (!result.finished) say(partly)
    } finally {
      await host.close()
    }
  }
}
