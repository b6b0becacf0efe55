/** Compiled graphs: which are there, and when they and the weights go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DecoderSessions } from '../../../../src/models/graph/decoder-sessions.js'
import { probeShape } from '../../../../src/models/graph/run-shape.js'
import type { Session, SharedWeights } from '../../../../src/runtime/session.js'

test('once disposed no graph is compiled, whoever waits for one, and the weights go after that under way', async () => {
  const said: string[] = []
  let compiled = (): void => {}
  const sessions = await DecoderSessions.create({
    weights: { dispose () { said.push('weights freed') } } as SharedWeights,
    async compile ({ private: alone, shared, probedLayers }) {
      said.push('compiled')
      if (probedLayers !== undefined || alone + shared > 1) await new Promise<void>(resolve => { compiled = resolve })
      return { dispose () { said.push('freed') } } as Session
    },
    onProblem: message => { said.push(message) }
  })
  const waiting = [sessions.prepare(probeShape(1)), sessions.prepare(probeShape(2))]
  sessions.dispose()
  compiled()
  await Promise.all(waiting)
  assert.equal(sessions.find(probeShape(1)), null)
  assert.deepEqual(said, ['compiled', 'compiled', 'compiled', 'freed', 'freed', 'freed', 'weights freed'])
})
