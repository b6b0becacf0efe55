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
  usage: '[OPTIONS]',
  options,
  maxPositionals: 0,
  async run (values) {
    const folder = String(values['out'] ?? 'fairlead-eval-verified')
    const sizes = sizesOf(values, { count: loadConstraints().length, name: 'models/evaluation/constraints.json' },
      { limit: 60, candidates: 32, timed: 30 })
    const environment = environmentOf('fairlead eval-verified', process.argv.slice(3))
    const served = await loadServedModel(engineConfigOf(values), say)
    try {
      const result = await interruptible((signal, onProgress) => evaluateVerified(served, { ...sizes, folder }, signal,
        onProgress))
      const { retime: _, ...setting } = sizes
      console.log(await writeVerified(String(values['report'] ?? folder), result,
        { ...setting, fingerprint: served.model.fingerprint }, environment))
      if (!result.finished) say(partly)
    } finally {
      await served.close()
    }
  }
}
