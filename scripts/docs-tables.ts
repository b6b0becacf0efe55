/**
 * The docs' tables of strategies, request fields, errors and settings, written from the schemas between their markers.
 *   node dist/scripts/docs-tables.js           writes them
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chatCompletionSchema } from '../src/api/chat/chat-completion-schema.js'
import { completionSchema } from '../src/api/completions/completion-schema.js'
import { responseCreateSchema } from '../src/api/responses/response-create-schema.js'
import { describeNeed } from '../src/decoding/strategies/policy-needs.js'
import { environmentName, flagName, settingNames, settings } from '../src/settings.js'
import { methodFacts, selectionFacts, strategyFacts } from '../src/decoding/strategies/strategy-facts.js'
import { choosing } from '../src/decoding/strategies/parameter-schemas.js'
import {
  methodPresets, schemaOf, strategyNames, type StrategyName
} from '../src/decoding/strategies/strategy-schemas.js'
import { errorCodes } from '../src/errors.js'
import { packageRoot } from '../src/package-root.js'
import { describeRule, type Rules } from '../src/validation.js'

const row = (cells: readonly string[]): string => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`

function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
}

/** The parameters that all strategies have. */
const common = Object.keys(schemaOf(strategyNames[0]!).properties)
  .filter(name => strategyNames.every(strategy => name in schemaOf(strategy).properties))

/** A rule in words, objects with their fields. */
function describeValues (rules: Rules): string {
  if (rules['x-checked-apart'] !== undefined) return describeRule(rules)
  const options = rules.anyOf ?? rules.oneOf
  if (options) return options.map(describeValues).join(' or ')
  return rules.properties
    ? Object.entries(rules.properties).map(([key, one]) => `${key}: ${describeRule(one)}`).join('; ')
    : describeRule(rules)
}

function parameterRows (
  names: readonly string[], properties: Readonly<Record<string, Rules & { readonly description?: string }>>
): string[][] {
  return names.map(name => {
    const rules = properties[name]!
    return [`\`${name}\``, describeValues(rules),
      rules.default === undefined ? '' : `\`${JSON.stringify(rules.default)}\``, rules.description ?? '']
  })
}

const head = ['field', 'values', 'default', 'meaning']

/** What strategies there are, and when each is the one to use. */
function strategiesTable (): string {
  const link = (name: StrategyName): string => `[\`${name}\`](#${name})`
  const overview = table(['strategy', 'what it does', 'rule', 'source'], strategyNames.map(name =>
    [link(name), strategyFacts[name].summary, strategyFacts[name].formula, strategyFacts[name].source]))
  const choice = table(['strategy', 'when to use it', 'what it draws', 'what it needs of the engine'],
    strategyNames.map(name => [`\`${name}\``, strategyFacts[name].use, strategyFacts[name].cost,
      strategyFacts[name].needs.map(describeNeed).join('; ')]))
  return `${overview}\n\n${choice}`
}

/** The fields of each strategy that others do not have, and those that all have. */
function parametersTable (): string {
  const parts = strategyNames.map(name => {
    const { properties } = schemaOf(name)
    const own =
      Object.keys(properties).filter(one => !common.includes(one) && !('selection' in properties && one in choosing))
    return `### \`${name}\`\n\n${table(head, parameterRows(own, properties as never))}`
  })
  const shared = '### Every strategy\n\n' +
    `${table(head, parameterRows(common, schemaOf(strategyNames[0]!).properties as never))}`
  return [...parts, shared].join('\n\n')
}

/** The fields by which strategies choose among finished answers, once for all. */
function selectionTable (): string {
  const users = strategyNames.filter(name => 'selection' in schemaOf(name).properties).map(name => `\`${name}\``)
  const rules = table(['selection', 'rule', 'source'],
    Object.entries(selectionFacts).map(([name, [rule, source]]) => [`\`${name}\``, rule, source]))
  return `How ${users.join(', ')} choose among their ` +
    `answers:\n\n${rules}\n\n${table(head, parameterRows(Object.keys(choosing), choosing as never))}`
}

/** The published methods of token guidance, and the fields that each stands for. */
function methodsTable (): string {
  return table(['method', 'sets', 'what it is'], Object.entries(methodFacts).map(([name, fact]) =>
    [`\`${name}\``, `\`${JSON.stringify(methodPresets[name as keyof typeof methodPresets])}\``, fact]))
}

function settingsTable (): string {
  return table(['flag', 'environment', 'default', 'meaning'], settingNames.map(name => {
    const setting = settings[name]
    // These depend on the machine.
    const value = {
      threads: 'number of cores',
      cacheDir: '`~/.cache/fairlead`',
      dataDir: '`~/.local/share/fairlead`',
      kvCacheBytes: 'a quarter of memory',
      rewardKvCacheBytes: 'an eighth of memory',
      prefixCacheBytes: 'a sixteenth of memory'
    }[name as string] ?? (String(setting.default) === '' ? '' : `\`${setting.default}\``)
    return [`\`--${flagName(name)}\``, `\`${environmentName(name)}\``, value, setting.help]
  }))
}

/** Endpoints that generate, by what the table calls them. */
const generating: Readonly<Record<string, Readonly<Record<string, object>>>> = {
  chat: chatCompletionSchema.properties, legacy: completionSchema.properties, responses: responseCreateSchema.properties
}

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

function errorsTable (): string {
  return table(['code', 'status', 'type', 'what happened, and what to do'],
    Object.entries(errorCodes).map(([code, { status, type, meaning }]) =>
      [`\`${code}\``, String(status), `\`${type}\``, meaning]))
}

/** The pages that have tables, each with what is written between its markers. */
const tables: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  'docs/strategies.md': {
    strategies: strategiesTable, parameters: parametersTable, selection: selectionTable, methods: methodsTable
  },
  'docs/api.md': { fields: fieldsTable },
  'docs/errors.md': { errors: errorsTable },
  'docs/operations.md': { settings: settingsTable }
}

/** Those pages, as paths from the package's root. */
export const pagesWithTables = Object.keys(tables)

/** A page's text with its tables as the schemas have them now. Throws where a marker is missing. */
export function withTables (page: string, text: string): string {
  return Object.entries(tables[page]!).reduce((filled, [name, content]) => {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
    const [before, rest] = filled.split(begin)
    const after = rest?.split(end)[1]
    if (before === undefined || after === undefined) throw new Error(`${page} has no markers ${begin} … ${end}`)
    return `${before}${begin}\n${content()}\n${end}${after}`
  }, text)
}

if (import.meta.filename === process.argv[1]) {
  for (const page of pagesWithTables) {
    const path = join(packageRoot, page)
    writeFileSync(path, withTables(page, readFileSync(path, 'utf8')))
  }
}
