/**
 * `npm run test:manifests`: builds what `kubectl apply -k` would send and checks it against the API's own schemas, of
 * several versions, where a field that nobody knows is an error. Needs no cluster; kubectl, where there is one, builds
 * it, else the files are checked one by one.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import { say } from '../../src/cli/command.js'
import { packageRoot } from '../../src/package-root.js'
import { installPython, run } from '../../tools/child.js'

/** Oldest and newest versions of Kubernetes that are checked. */
const versions = ['1.27', '1.37']

const folder = join(packageRoot, 'deploy', 'kubernetes')

/** Kustomizations that are applied by themselves. */
const roots = ['.', 'production-stack']

/** All objects of a kustomization's files, as they are written. @param at its folder */
function objectsOf (at: string): object[] {
  const { resources } = parse(readFileSync(join(at, 'kustomization.yaml'), 'utf8')) as { resources: string[] }
  return resources.flatMap(resource => resource.endsWith('.yaml')
    ? parseAllDocuments(readFileSync(join(at, resource), 'utf8')).map(document => document.toJS() as object)
    : objectsOf(join(at, resource)))
}

/** Checks files of one object each. @throws Error with what is wrong, a kind that the version does not have included */
async function validate (programs: string, files: readonly string[], version: string): Promise<void> {
  const wrong: string[] = []
  const args = ['--strict', '--quiet', '--kubernetes-version', version, ...files]
  await run(join(programs, 'kubernetes-validate'), args, {
    onLine: line => { if (/^(?:ERROR|WARN|FATAL)/.test(line)) wrong.push(line) }
  }).catch((error: unknown) => { if (wrong.length === 0) throw error })
  if (wrong.length > 0) throw new Error(wrong.join('\n'))
}

/** That what is wrong would be seen. */
async function checkCheck (programs: string, file: string): Promise<void> {
  for (const [spec, apiVersion] of [['replica', 'apps/v1'], ['replicas', 'apps/v9']] as const) {
    const object = { apiVersion, kind: 'Deployment', metadata: { name: 'x' }, spec: { [spec]: 1 } }
    writeFileSync(file, JSON.stringify(object))
    const isSeen = await validate(programs, [file], versions[0]!).then(() => false, () => true)
    if (!isSeen) throw new Error(`a Deployment of ${apiVersion} with ${spec} was not refused`)
  }
}

/** What would be applied, as one file. @param at folder of a kustomization */
function built (at: string, hasKubectl: boolean): string {
  if (!hasKubectl) return objectsOf(at).map(object => JSON.stringify(object)).join('\n---\n')
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', at], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`kubectl kustomize ${at}: ${stderr}`)
  return stdout
}

const work = mkdtempSync(join(tmpdir(), 'fairlead-manifests-'))
try {
  const programs = await installPython(join(homedir(), '.cache', 'fairlead', 'conformance', 'manifests'),
    join(packageRoot, 'conformance', 'manifests', 'requirements.txt'), say, {}, '--quiet')
  await checkCheck(programs, join(work, 'control.yaml'))
  const hasKubectl = spawnSync('kubectl', ['kustomize', '--help']).status === 0
  if (!hasKubectl) say('kubectl is not there: files are checked as they are written')
  for (const root of roots) {
    const objects = parseAllDocuments(built(join(folder, root), hasKubectl)).map(document => document.toJS() as object)
    const out = join(work, root === '.' ? 'all' : root)
    mkdirSync(out)
    for (const [index, object] of objects.entries()) writeFileSync(join(out, `${index}.yaml`), JSON.stringify(object))
    for (const version of versions) {
      await validate(programs, readdirSync(out).map(file => join(out, file)), version)
    }
    say(`deploy/kubernetes/${root}: ${objects.length} objects are right for Kubernetes ${versions.join(' and ')}`)
  }
} finally {
  rmSync(work, { recursive: true })
}
