/**
 * The README's tables of strategies, request fields and settings, written from the schemas between their markers.
 *   node dist/scripts/readme-tables.js           writes them
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chatCompletionSchema } from '../src/api/schemas/chat-completion.js'
import { completionSchema } from '../src/api/schemas/completion.js'
import { responseCreateSchema } from '../src/api/schemas/response-create.js'
import { environmentName, flagName, settingNames, settings } from '../src/config.js'
import { methodFacts, selectionFacts, strategyFacts } from '../src/decoding/strategy-facts.js'
import { choosing, methodPresets, schemaOf, strategyNames } from '../src/decoding/strategy-schemas.js'
import { packageRoot } from '../src/package-root.js'
import { describeRule, type Rules } from '../src/validation.js'

const row = (cells: readonly string[]): string => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`

function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
}

/** The parameters that all strategies have. */
const common = Object.keys(schemaOf(strategyNames[0]!).properties).filter(name => strategyNames.every(strategy => name in schemaOf(strategy).properties))

/** A rule in words, objects with their fields. */
function describeValues (rules: Rules): string {
  if (rules.anyOf) return rules.anyOf.map(describeValues).join(' or ')
  return rules.properties ? Object.entries(rules.properties).map(([key, one]) => `${key}: ${describeRule(one)}`).join('; ') : describeRule(rules)
}

function parameterRows (names: readonly string[], properties: Readonly<Record<string, Rules & { readonly description?: string }>>): string[][] {
  return names.map(name => {
    const rules = properties[name]!
    return [`\`${name}\``, describeValues(rules), rules.default === undefined ? '' : `\`${JSON.stringify(rules.default)}\``, rules.description ?? '']
  })
}

const head = ['field', 'values', 'default', 'meaning']

/** The fields by which strategies choose among finished answers, once for all. */
function selectionTable (): string {
  const users = strategyNames.filter(name => 'selection' in schemaOf(name).properties).map(name => `\`${name}\``)
  const rules = table(['selection', 'rule', 'source'], Object.entries(selectionFacts).map(([name, [rule, source]]) => [`\`${name}\``, rule, source]))
  return `Selection (${users.join(', ')})\n\n${rules}\n\n${table(head, parameterRows(Object.keys(choosing), choosing as never))}`
}

function methodsTable (): string {
  return `Methods (\`token_guidance\`)\n\n${table(['method', 'sets', 'what it is'], Object.entries(methodFacts).map(([name, fact]) => [`\`${name}\``, `\`${JSON.stringify(methodPresets[name as keyof typeof methodPresets])}\``, fact]))}`
}

function strategiesTable (): string {
  const overview = table(['strategy', 'what it does', 'rule', 'source'], strategyNames.map(name => [`\`${name}\``, strategyFacts[name].summary, strategyFacts[name].formula, strategyFacts[name].source]))
  const choice = table(['strategy', 'when to use it', 'what it draws'], strategyNames.map(name => [`\`${name}\``, strategyFacts[name].use, strategyFacts[name].cost]))
  const parts = strategyNames.map(name => {
    const { properties } = schemaOf(name)
    const own = Object.keys(properties).filter(one => !common.includes(one) && !('selection' in properties && one in choosing))
    return `\`${name}\`\n\n${table(head, parameterRows(own, properties as never))}`
  })
  const shared = `Every strategy\n\n${table(head, parameterRows(common, schemaOf(strategyNames[0]!).properties as never))}`
  return [overview, choice, ...parts, selectionTable(), methodsTable(), shared].join('\n\n')
}

function settingsTable (): string {
  return table(['flag', 'environment', 'default', 'meaning'], settingNames.map(name => {
    const setting = settings[name]
    // These depend on the machine.
    const value = { threads: 'the cores', cacheDir: '`~/.cache/fairlead`', dataDir: '`~/.local/share/fairlead`', kvCacheBytes: 'a quarter of the memory', prefixCacheBytes: 'a sixteenth of it' }[name as string] ?? (String(setting.default) === '' ? '' : `\`${setting.default}\``)
    return [`\`--${flagName(name)}\``, `\`${environmentName(name)}\``, value, setting.help]
  }))
}

/** Endpoints that generate, by what the table calls them. */
const generating: Readonly<Record<string, Readonly<Record<string, object>>>> = { chat: chatCompletionSchema.properties, legacy: completionSchema.properties, responses: responseCreateSchema.properties }

/** Fields of the generating endpoints, each with those that have it: one schema is one row. */
function fieldsTable (): string {
  const rows = new Map<object, { name: string, endpoints: string[] }>()
  for (const [endpoint, properties] of Object.entries(generating)) {
    for (const [name, schema] of Object.entries(properties)) {
      const row = rows.get(schema) ?? { name, endpoints: [] }
      row.endpoints.push(endpoint)
      rows.set(schema, row)
    }
  }
  const sorted = [...rows].sort(([, a], [, b]) => b.endpoints.length - a.endpoints.length)
  return table(['field', 'of', 'values', 'default', 'meaning'], sorted.map(([schema, { name, endpoints }]) => {
    const [first, ...rest] = parameterRows([name], { [name]: schema })[0]!
    return [first!, endpoints.length === Object.keys(generating).length ? 'all' : endpoints.join(', '), ...rest]
  }))
}

/** Puts a table between its markers. */
function fill (readme: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [before, rest] = readme.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`the README has no markers ${begin} … ${end}`)
  return `${before}${begin}\n${content}\n${end}${after}`
}

/** The README's path. */
export const readmePath = join(packageRoot, 'README.md')

/** The README with its tables as the schemas have them now. */
export function withTables (readme: string): string {
  return fill(fill(fill(readme, 'strategies', strategiesTable()), 'fields', fieldsTable()), 'settings', settingsTable())
}

if (import.meta.filename === process.argv[1]) writeFileSync(readmePath, withTables(readFileSync(readmePath, 'utf8')))
