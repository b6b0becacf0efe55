import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { commands } from '../../../src/cli/commands.js'
import { parseOptions } from '../../../src/cli/options.js'
import { packageRoot } from '../../../src/package-root.js'
import { examples, pages, statements } from '../../helpers/docs.js'

const scripts = (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}).scripts

/** Programs that are not ours: `curl` is run by tests with the default model, the others are not run. */
const others = new Set(['cd', 'curl', 'docker', 'export', 'git', 'helm', 'id', 'jq', 'kubectl', 'llama-server', 'pip',
  'python', 'vllm'])

/** Words of a command, without what comes after a redirection; placeholders stand for themselves. */
const words = (statement: string): string[] =>
  [...statement.replace(/ > \S+$/, '').matchAll(/'([^']*)'|"([^"]*)"|[^\s'"]+/g)]
    .map(([word, single, double]) => single ?? double ?? word)

async function check (statement: string): Promise<void> {
  const [program, second, ...rest] = words(statement.replace(/^(?:[A-Z_]+=\S+ )+/, ''))
  if (program === 'npx' && second === 'fairlead') {
    const [name, ...args] = rest
    assert.ok(Object.hasOwn(commands, name!), `there is no command ${name}`)
    parseOptions(await commands[name!]!.load(), args)
  } else if (program === 'npm') {
    const script = second === 'run' ? rest[0]! : second!
    assert.ok(['ci', 'install'].includes(script) || script in scripts, `there is no script ${script}`)
  } else if (program === 'node') {
    const source = second!.replace(/^dist\//, '').replace(/\.js$/, '.ts')
    assert.ok(existsSync(join(packageRoot, source)), `there is no ${source}`)
  } else {
    const name = program!.replace(/=.*/s, '')
    assert.ok(others.has(name), `nobody checks what the docs do with ${name}`)
  }
}

test('every command in the docs is one that there is, with options that it takes', async () => {
  let checked = 0
  for (const path of pages) {
    for (const block of examples(path, 'sh')) {
      for (const statement of statements(block)) {
        checked++
        await check(statement).catch((error: Error) => {
          throw new Error(`${path}: ${statement}: ${error.message}`, { cause: error })
        })
      }
    }
  }
  assert.ok(checked > 25, `${checked} commands`)
})

test('the docs have blocks of languages that are checked, and no others', () => {
  const checked = new Set(['sh', 'ts', 'python', 'json', 'yaml'])
  for (const path of pages) {
    const text = readFileSync(join(packageRoot, path), 'utf8')
    const found = [...text.matchAll(/^```(\w+)$/gm)].map(([, language]) => language!)
    assert.deepEqual(found.filter(language => !checked.has(language)), [], path)
  }
})
