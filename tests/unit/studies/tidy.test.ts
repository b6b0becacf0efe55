import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tidy } from '../../../studies/rewards/tidy.js'

test('tokenised lower-case text is put into ordinary spelling', () => {
  assert.equal(tidy("somewhat blurred , but kinnear's performance is razor sharp ."),
    "Somewhat blurred, but kinnear's performance is razor sharp.")
  assert.equal(tidy('i like it ( a bit ) ! do n\'t you ?  \n yes .'), "I like it (a bit)! Don't you? Yes.")
})
