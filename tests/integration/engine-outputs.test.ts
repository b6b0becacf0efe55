/** What outputs hold, and that forks share what was computed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { promptOf, rowOf, trace } from '../helpers/engine-traces.js'
import { sameBits } from '../helpers/same-bits.js'
import { inEveryFormat, ledger } from '../helpers/tiny-engine.js'

inEveryFormat(current => {
  test('a fork equals a fresh sequence with the same history, and parent and child go on apart', async () => {
    const { engine } = current
    const prompt = promptOf(20, 3)
    const root = engine.open(prompt, { layers: [1], salt: 'fork' })
    await root.output()
    const child = root.fork()
    for (const token of [50, 60, 70]) { child.append(token); await child.output() }
    root.append(90)
    const rootRow = rowOf(await root.output())
    const grandchild = child.fork()
    grandchild.append(80)
    const forked = await grandchild.output()
    const fresh = engine.open(prompt, { layers: [1], salt: 'fresh' })
    await fresh.output()
    for (const token of [50, 60, 70, 80]) { fresh.append(token); await fresh.output() }
    const expected = await fresh.output()
    sameBits(rowOf(forked), rowOf(expected))
    sameBits(forked.pooled(1), expected.pooled(1))
    sameBits(forked.hidden(1), expected.hidden(1))
    assert.equal(forked.pooledTokens, 4)
    sameBits(rootRow, (await trace(engine, prompt, 0, { salt: 'again' }).then(async () => {
      const again = engine.open(prompt, { salt: 'third' })
      await again.output()
      again.append(90)
      const row = rowOf(await again.output())
      again.close()
      return row
    })))
    for (const sequence of [root, child, grandchild, fresh]) sequence.close()
    engine.checkIntegrity()
  })

  test('the pooled mean is the mean of the hidden states of the tokens fed after the prompt', async () => {
    const { engine } = current
    const sequence = engine.open(promptOf(6, 5), { layers: [0, 2] })
    await sequence.output()
    const states: number[][] = []
    for (const token of [10, 20, 30]) {
      sequence.append(token)
      states.push([...(await sequence.output()).hidden(2)])
    }
    const pooled = (await sequence.output()).pooled(2)
    for (const [index, value] of pooled.entries()) {
      assert.ok(Math.abs(value - states.reduce((sum, state) => sum + state[index]!, 0) / 3) < 1e-5)
    }
    sequence.close()
  })

  test('the log-normalisers are those of the row, at temperature 1 and at the sequence’s own', async () => {
    const { engine } = current
    const sequence = engine.open(promptOf(5, 6), { temperature: 0.5 })
    const { distribution } = await sequence.output()
    const sum = (inverse: number): number =>
      Math.log(distribution.logits.reduce((total, logit) => total + Math.exp(logit * inverse), 0))
    assert.ok(Math.abs(distribution.logNormalizer - sum(1)) < 1e-5)
    assert.ok(Math.abs(distribution.temperedLogNormalizer - sum(2)) < 1e-5)
    assert.equal(distribution.logits[distribution.topIds[0]!], Math.max(...distribution.logits))
    sequence.close()
  })

  test('sixteen candidates of a prompt run it once', async () => {
    const { engine } = current
    const used = ledger()
    const root = engine.open(promptOf(50, 8), { ledger: used, salt: 'once' })
    await root.output()
    const candidates = Array.from({ length: 16 }, () => root.fork())
    await Promise.all(
      candidates.map((candidate, index) => { candidate.append(10 + index); return candidate.output() })
    )
    assert.equal(used.computedTokens, 50 + 16)
    for (const sequence of [root, ...candidates]) sequence.close()
  })
})
