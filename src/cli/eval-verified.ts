/**
 * `fairlead eval-verified`: how often answers pass a program's checks, and what that costs in the server and in a
 * client that asks again.
 */
import { evaluateVerified, loadConstraints, type VerifiedOptions } from '../evaluation/verified.js'
import { writeVerified } from '../evaluation/verified-report.js'
import { loadServedModel } from '../serving/served-models.js'
import { environmentOf } from '../reporting/environment.js'
import { refuse } from '../validation.js'
import { say, type Command } from './command.js'
import { interruptible, partly } from './interruptible.js'
import { engineConfigOf, engineOptions, integerOption, type Options } from './options.js'

const options: Options = {
  limit: { type: 'string', help: 'prompts, of 300 the first ones; six kinds in turn', default: '60' },
  candidates: { type: 'string', help: 'answers to each prompt at most, 2 to 128', default: '32' },
  'max-tokens': { type: 'string', help: 'tokens of an answer, at most', default: '48' },
  timed: {
    type: 'string',
    help: 'prompts, the first ones, on which every way is timed after all else, alone and in turns; 0 for none',
    default: '30'
  },
  retime: { type: 'boolean', help: 'take times anew, as on a machine that is idle now' },
  out: { type: 'string', help: 'folder of what was drawn, which is used again', default: 'fairlead-eval-verified' },
  report: { type: 'string', help: 'folder of the report', default: 'the same' },
  ...engineOptions
}

export const verifiedEvaluation: Command = {
  name: 'eval-verified',
  usage: '[OPTIONS]',
  summary: 'measures how often answers pass a program’s checks: plain, adaptive best-of-n, beams, a client’s ' +
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
    const host = await loadServedModel(engineConfigOf(values), say)
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
