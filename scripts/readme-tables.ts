/**
 * The README's tables of strategies and settings, written from the schemas between their markers.
 *   node dist/scripts/readme-tables.js           writes them
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { environmentName, flagName, settingNames, settings } from '../src/config.js'
import { schemaOf, strategyFacts, strategyNames } from '../src/decoding/parameters.js'
import { packageRoot } from '../src/package-root.js'
import { describeRule, type Rules } from '../src/validation.js'

const row = (cells: readonly string[]): string => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`

function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
}

/** The parameters that all strategies have. */
const common = Object.keys(schemaOf(strategyNames[0]!).properties).filter(name => strategyNames.every(strategy => name in schemaOf(strategy).properties))

function parameterRows (names: readonly string[], properties: Readonly<Record<string, Rules & { readonly description?: string }>>): string[][] {
  return names.map(name => {
    const rules = properties[name]!
    const inner = rules.properties ? Object.entries(rules.properties).map(([key, one]) => `${key}: ${describeRule(one)}`).join('; ') : describeRule(rules)
    return [`\`${name}\``, inner, `\`${JSON.stringify(rules.default)}\``, rules.description ?? '']
  })
}

function strategiesTable (): string {
  const overview = table(['strategy', 'what it does', 'rule', 'source'], strategyNames.map(name => [`\`${name}\``, strategyFacts[name].summary, strategyFacts[name].formula, strategyFacts[name].source]))
  const parts = strategyNames.map(name => {
    const { properties } = schemaOf(name)
    const own = Object.keys(properties).filter(one => !common.includes(one))
    return `\`${name}\`\n\n${table(['field', 'values', 'default', 'meaning'], parameterRows(own, properties as never))}`
  })
  return `${overview}\n\n${parts.join('\n\n')}\n\nEvery strategy\n\n${table(['field', 'values', 'default', 'meaning'], parameterRows(common, schemaOf(strategyNames[0]!).properties as never))}`
}

function settingsTable (): string {
  return table(['flag', 'environment', 'default', 'meaning'], settingNames.map(name => {
    const setting = settings[name]
    // These two depend on the machine.
    const value = { threads: 'the cores', cacheDir: '`~/.cache/fairlead`', kvCacheBytes: 'a quarter of the memory', prefixCacheBytes: 'a sixteenth of it' }[name as string] ?? (setting.default === '' ? '' : `\`${setting.default}\``)
    return [`\`--${flagName(name)}\``, `\`${environmentName(name)}\``, value, setting.help]
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
  return fill(fill(readme, 'strategies', strategiesTable()), 'settings', settingsTable())
}

if (import.meta.filename === process.argv[1]) writeFileSync(readmePath, withTables(readFileSync(readmePath, 'utf8')))
