import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alignmentSchema, strategyNames, strategySchemas } from '../../../src/decoding/strategies/strategy-schemas.js'
import { fieldOf, strategyForms, valueOf, withValue, type Field } from '../../../src/inspector/logic/form.js'

const openapi = {
  paths: {
    '/v1/chat/completions': {
      post: {
        requestBody: {
          content: {
            'application/json': {
              schema: { properties: { alignment: { anyOf: [{ anyOf: alignmentSchema.anyOf }, { type: 'null' }] } } }
            }
          }
        }
      }
    }
  }
}

test('every strategy has a form with all of its fields', () => {
  const forms = strategyForms(JSON.parse(JSON.stringify(openapi)))
  assert.deepEqual(forms.map(({ name }) => name), strategyNames)
  const apart = ['rewards', 'return_candidates', 'return_progress', 'return_trace']
  for (const { name, fields, main } of forms) {
    const wanted = Object.keys(strategySchemas[name as keyof typeof strategySchemas].properties)
      .filter(field => !apart.includes(field))
    assert.deepEqual(fields.map(field => field.name).sort(), wanted.sort(), name)
    assert.ok(main.length > 0 && main.every(field => wanted.includes(field)), name)
  }
  const candidates = forms[0]!.fields.find(({ name }) => name === 'num_candidates')
  assert.deepEqual(candidates, {
    name: 'num_candidates',
    kind: 'integer',
    description: 'answers sampled; with poisson_mean, the maximum',
    initial: 8,
    mayBeNull: false,
    min: 1,
    max: 128
  })
})

test('fields are read through alternatives; null is a value only where it is the default', () => {
  const none = { type: 'null' }
  const schema = { anyOf: [{ anyOf: [{ type: 'number', minimum: 0 }, none], default: null }, none] }
  assert.equal(fieldOf('max_kl', schema).kind, 'number')
  assert.equal(fieldOf('max_kl', schema).mayBeNull, true)
  const choice = fieldOf('draw', { anyOf: [{ enum: ['sample', 'argmax'], default: 'sample' }, { type: 'null' }] })
  assert.deepEqual([choice.kind, choice.choices, choice.mayBeNull], ['choice', ['sample', 'argmax'], false])
})

test('a control’s text becomes a value, or says what is wrong with it', () => {
  const field = (kind: Field['kind']): Field => ({ name: 'x', kind, description: '', initial: 8, mayBeNull: false })
  assert.equal(valueOf(field('integer'), ' 12 '), 12)
  assert.equal(valueOf(field('number'), ''), undefined)
  assert.throws(() => valueOf(field('integer'), 'twelve'), /must be a number; got "twelve"/)
  assert.deepEqual(valueOf(field('json'), '{"tokens": 16}'), { tokens: 16 })
  assert.equal(valueOf(field('json'), 'last_number'), 'last_number')
  assert.throws(() => valueOf(field('json'), '{tokens}'), /must be JSON/)
  assert.deepEqual(withValue({ x: 12, y: 1 }, field('integer'), 8), { y: 1 })
  assert.deepEqual(withValue({ y: 1 }, field('integer'), 9), { y: 1, x: 9 })
})
