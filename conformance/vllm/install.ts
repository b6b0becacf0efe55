/** vLLM as `requirements.txt` pins it, and the default model as it reads it: both kept in the cache. */
import { join } from 'node:path'
import { say } from '../../src/cli/command.js'
import { loadConfig } from '../../src/config.js'
import { resolveModel } from '../../src/models/store/model-store.js'
import { packageRoot } from '../../src/package-root.js'
import { installOnce, installPython, run } from '../../tools/child.js'

/** An environment with vLLM and the plugin. @returns its python */
export async function installVllm (cacheDir: string): Promise<string> {
  const folder = join(cacheDir, 'conformance', 'vllm')
  const requirements = join(packageRoot, 'conformance', 'vllm', 'requirements.txt')
  const programs = await installPython(join(folder, 'venv'), requirements,
    () => { say(`installing vLLM into ${folder} (2 GB)`) }, {}, '--quiet', '--no-deps', '--no-compile')
  const python = join(programs, 'python')
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps',
    '--no-build-isolation', '--force-reinstall', join(packageRoot, 'integrations', 'vllm')])
  return python
}

/** A model's own file, and the same in float32 as a folder. */
export interface ExportedModel { readonly file: string, readonly folder: string }

/** The default model. @param python that `installVllm` gives */
export async function exportDefault (python: string, cacheDir: string): Promise<ExportedModel> {
  const { path: file, sha256 } = await resolveModel('smollm2-135m', { cacheDir: loadConfig().cacheDir })
  const folder = join(cacheDir, 'conformance', 'vllm', 'smollm2-135m')
  await installOnce(folder, sha256, () =>
    run(python, [join(packageRoot, 'conformance', 'vllm', 'export_default.py'), file, folder]))
  return { file, folder }
}
