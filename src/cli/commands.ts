/**
 * The commands by name, in the order of the help. Each is loaded when it is run: none waits for what only others need.
 */
import type { Command } from './command.js'

interface NamedCommand {
  readonly summary: string
  readonly load: () => Promise<Command>
}

export const commands: Readonly<Record<string, NamedCommand>> = {
  serve: {
    summary: 'start the OpenAI-compatible server with reward-guided decoding',
    load: async () => (await import('./serve.js')).serve
  },
  generate: {
    summary: 'answer one prompt and show its candidates and rewards as they finish',
    load: async () => (await import('./generate.js')).generate
  },
  inspect: {
    summary: 'show a recorded run: its steps, its candidates, what it took',
    load: async () => (await import('./inspect.js')).inspect
  },
  score: {
    summary: 'score answers with a reward',
    load: async () => (await import('./score.js')).score
  },
  fit: {
    summary: 'fit a linear reward on the model’s hidden states and report its held-out accuracy',
    load: async () => (await import('./fit.js')).fit
  },
  adapt: {
    summary: 'personalise a reward from a few preference pairs and store it in --data-dir',
    load: async () => (await import('./adapt.js')).adapt
  },
  standardize: {
    summary: 'measure a reward’s mean and standard deviation on the model’s own answers and write them into its file',
    load: async () => (await import('./standardize.js')).standardize
  },
  eval: {
    summary:
      'measure the gain from steering by a reward, scored by an independent judge, and write a report with plots',
    load: async () => (await import('./eval.js')).evaluation
  },
  'eval-verified': {
    summary: 'measure how often answers pass programmatic checks: plain, adaptive best-of-n, beam search, a client’s ' +
      'retry loop',
    load: async () => (await import('./eval-verified.js')).verifiedEvaluation
  },
  pull: {
    summary: 'download a model into the cache and print its path',
    load: async () => (await import('./pull.js')).pull
  },
  bench: {
    summary: 'measure decode, prefill, concurrent requests, fan-out, mixed load, prefix cache hits, draft tokens and ' +
      'journals',
    load: async () => (await import('./bench.js')).bench
  },
  doctor: {
    summary: 'check whether this machine can run Fairlead with these settings: accuracy and bit-exactness of every ' +
      'operator, memory, disk, model files, rewards, remote scorers, port',
    load: async () => (await import('./doctor.js')).doctor
  }
}
