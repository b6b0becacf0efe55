/**
 * `fairlead eval-verified`: how often answers pass a program's checks, and what that costs in the server and in a
 * client that asks again.
 */
import { evaluateVerified, loadConstraints } from '../evaluation/verified.js'
import { writeVerified } from '../evaluation/verified-report.js'
import { loadServedModel } from '../serving/served-models.js'
import { environmentOf } from '../reporting/environment.js'
import { say, type Command } from './command.js'
import { interruptible, partly } from './interruptible.js'
import { sizesOf } from './eval.js'
import { engineConfigOf, engineOptions, type Options } from './options.js'

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
  maxPositionals: 0,
  async run (values) {
    const folder = String(values['out'] ?? 'fairlead-eval-verified')
    const sizes = sizesOf(values, { count: loadConstraints().length, name: 'models/evaluation/constraints.json' },
      { limit: 60, candidates: 32, timed: 30 })
    const environment = environmentOf('fairlead eval-verified', process.argv.slice(3))
    const host = await loadServedModel(engineConfigOf(values), say)
    try {
      const result = await interruptible((signal, onProgress) => evaluateVerified(host, { ...sizes, folder }, signal,
        onProgress))
      const { retime: _, ...setting } = sizes
      console.log(await writeVerified(String(values['report'] ?? folder), result,
        { ...setting, fingerprint: host.model.fingerprint }, environment))
      if (!result.finished) say(partly)
    } finally {
      await host.close()
    }
  }
}
