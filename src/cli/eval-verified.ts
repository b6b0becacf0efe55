/**
 * `fairlead eval-verified`: how often answers pass a program's checks, and what that costs in the server and in a
 * client that asks again.
 */
import { evaluateVerified, loadConstraints, type VerifiedOptions } from '../evaluation/verified.js'
import { writeVerified } from '../evaluation/verified-report.js'
import { createHost } from '../serving/model-runtime.js'
import { environmentOf } from '../reporting/environment.js'
import { refuse } from '../validation.js'
import { say, type Command } from './command.js'
import { interruptible, partly } from './interruptible.js'
import { engineConfigOf, engineOptions, integerOption, type Options } from './options.js'

const options: Options = {
  limit: { type: 'string', help: 'number of prompts (first N of 300, cycling through six kinds)', default: '60' },
  candidates: { type: 'string', help: 'maximum answers per prompt, 2 to 128', default: '32' },
  'max-tokens': { type: 'string', help: 'maximum tokens per answer', default: '48' },
  timed: {
    type: 'string',
    help: 'number of prompts on which every configuration is timed at the end, one request at a time, in turns; 0 ' +
      'for none',
    default: '30'
  },
  retime: { type: 'boolean', help: 're-run the timings (use an idle machine)' },
  out: {
    type: 'string',
    help: 'output directory for answers (reused by later evaluations)',
    default: 'fairlead-eval-verified'
  },
  report: { type: 'string', help: 'output directory of the report', default: 'same as --out' },
  ...engineOptions
}

export const verifiedEvaluation: Command = {
  name: 'eval-verified',
  usage: '[OPTIONS]',
  summary: 'measure how often answers pass programmatic checks: plain, adaptive best-of-n, beam search, a client’s ' +
    'retry loop',
  options,
  mostPositionals: 0,
  async run (values) {
    const candidates = integerOption(values, 'candidates', 32, 2)
    if (candidates > 128) throw refuse('--candidates', 'must be an integer from 2 to 128', values['candidates'])
    const limit = integerOption(values, 'limit', 60)
    const { length } = loadConstraints()
    if (limit > length) throw refuse('--limit', `must be an integer from 1 to ${length}`, values['limit'])
    const timed = integerOption(values, 'timed', Math.min(30, limit), 0)
    if (timed > limit) throw refuse('--timed', `must be at most --limit, ${limit}`, values['timed'])
    const out = String(values['out'] ?? 'fairlead-eval-verified')
    const given: VerifiedOptions = {
      limit,
      candidates,
      maxTokens: integerOption(values, 'max-tokens', 48),
      timed,
      retime: values['retime'] === true,
      folder: out
    }
    const environment = environmentOf('fairlead eval-verified', process.argv.slice(3))
    const host = await createHost(engineConfigOf(values), say)
    try {
      const result = await interruptible((signal, onProgress) => evaluateVerified(host, given, signal, onProgress))
      const { folder: _, retime: __, ...setting } = given
      console.log(await writeVerified(String(values['report'] ?? out), result,
        { ...setting, fingerprint: host.model.fingerprint }, environment))
      if (!result.finished) say(partly)
    } finally {
      await host.close()
    }
  }
}
