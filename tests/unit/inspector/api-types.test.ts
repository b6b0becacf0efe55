/** What the inspector reads of the API's answers is what the API gives: the compiler checks it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type * as chat from '../../../src/api/chat/chat-types.js'
import type * as rewards from '../../../src/api/rewards/reward-types.js'
import type * as page from '../../../src/inspector/logic/api-types.js'

/** True where every `Given` is a `Read`. */
type Fits<Given, Read> = [Given] extends [Read] ? true : false

test('the page reads what the API answers', () => {
  const fits: [
    Fits<rewards.RewardListItem, page.RewardListItem>, Fits<rewards.RewardCard, page.RewardCard>,
    Fits<rewards.RewardScores, page.RewardScores>, Fits<chat.ChatCompletion, page.ChatCompletion>,
    Fits<chat.Usage, page.Usage>
  ] = [true, true, true, true, true]
  assert.ok(fits.every(Boolean))
})
