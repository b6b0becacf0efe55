/** The texts of schemas in bodies, as their callers wrote them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepSchemaTexts, schemaText } from '../../../../src/api/schemas/schema-text.js'

const schema = '{ "z" : {"}": "\\"]\\\\", "1":[0, {"b":1,"0":-1.5e3}]} ,"10":null,\n"2":"{" }'

/** A body's text → the schema in its value. */
const places: ReadonlyArray<readonly [string, (body: any) => object]> = [
  [`{"model":"x{","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":${schema}}}}`,
    body => body.response_format.json_schema.schema],
  [` { "text" : { "format" : { "schema" : ${schema} , "name":"x"} }, "input":[{"a":"]"},[],{}]}`,
    body => body.text.format.schema],
  [`{"n":[1,"]",{"schema":3}],"tools":[{"type":"function"},{"function":{"parameters":${schema}}}],"seed":1}`,
    body => body.tools[1].function.parameters],
  [`{"tools":[{"parameters":${schema}},{}]}`, body => body.tools[0].parameters],
  [`{"type":"create","request":{"tools":[{"function":{"a":true,"p\\u0061rameters":${schema}}}]}}`,
    body => body.request.tools[0].function.parameters],
  [`{"text":{"format":{"schema":{"1":0,"a":1}}},"text":{"format":{"schema":{"b":0},"schema":${schema}}}}`,
    body => body.text.format.schema]
]

test('a schema’s text is found wherever bodies have one', () => {
  for (const [text, find] of places) {
    const body: unknown = JSON.parse(text)
    keepSchemaTexts(text, body)
    assert.equal(schemaText(find(body)), schema, text)
  }
})

test('a schema without a kept text is written as it is', () => {
  const text = '{"9":1,"response_format":{"json_schema":{"schema":{"b":1},"schema":7}},"tools":[1,{"parameters":[]}]}'
  const body = JSON.parse(text) as { tools: [unknown, { parameters: object }] }
  keepSchemaTexts(text, body)
  assert.equal(schemaText(body.tools[1].parameters), '[]')
  assert.equal(schemaText({ b: 1, a: [1] }), '{"b":1,"a":[1]}')
})

test('bodies that are no objects, and that are nested deep, are passed over', () => {
  const deep = `${'{"function":'.repeat(20_000)}{"1":0}${'}'.repeat(20_000)}`
  const long = `{"1":0,"tools":[${'{"parameters":{}},'.repeat(1000)}0]}`
  for (const text of ['"1"', '[{"1":2}]', 'null', '{"1":-3}', deep, long]) keepSchemaTexts(text, JSON.parse(text))
})
