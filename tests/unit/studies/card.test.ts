import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadRewards } from '../../../src/rewards/descriptor.js'
import { packageRoot } from '../../../src/package-root.js'
import type { FittedDescriptor } from '../../../src/fitting/fit-task.js'

const directory = join(packageRoot, 'models/rewards')
const families = await loadRewards([directory])

test('the box holds helpful, an ensemble of it, length, positive and a reader of tone, each with both members, ' +
  'fitted heads with a Q-head, too', () => {
  assert.deepEqual(families.map(family => family.name),
    ['helpful', 'helpful_ensemble', 'length', 'positive', 'positive_reader'])
  for (const family of families) {
    assert.deepEqual(family.members,
      ['outcome', 'prefix', ...(family.descriptor.kind === 'head' ? ['next_token'] : [])], family.name)
  }
})

for (const { name, descriptor } of families.filter(family => family.descriptor.kind !== 'rule')) {
  const { metrics, fit } = descriptor as FittedDescriptor
  const whole = metrics!.byPrefix.at(-1)!

  test(`${name} beats length, a random head and a bag of words by more than two standard errors`, () => {
    const { lengthOnly, randomHead, tfidf } = metrics!.controls
    for (const control of [lengthOnly, randomHead, tfidf]) {
      assert.ok(whole.accuracy - control > 2 * whole.standardError, `${whole.accuracy} against ${control}`)
    }
  })

  test(`the card of ${name} names its data, licence and figures`, () => {
    const card = readFileSync(join(directory, `${name}.md`), 'utf8')
    assert.ok(card.includes(fit!.data) && card.includes(fit!.licence))
    assert.ok(card.includes(`${(100 * whole.accuracy).toFixed(1)} % ± ${(100 * whole.standardError).toFixed(1)} %`))
  })
}
