/** What is said where a device is missing: nothing here needs one, and where the machine has one it is opened. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { explainCuda } from '../../../src/runtime/cuda.js'
import { chooseDevice } from '../../../src/runtime/open-device.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-open-device-'))
after(() => { rmSync(folder, { recursive: true }) })
const provider = process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so'
const never = (message: string): void => { assert.fail(message) }

test('CUDA by name: what is missing is said, and what to do', async () => {
  for (const device of ['cuda', 'cuda:3']) {
    const wrong = [[join(folder, 'none'), /none is no folder/], [folder, new RegExp(`has no ${provider}`)]] as const
    for (const [cudaProvider, message] of wrong) {
      await assert.rejects(chooseDevice({ device, cudaProvider }, never), (error: Error & { param?: string }) => {
        assert.match(error.message, message)
        assert.match(error.message, /^device cuda(:3)?: .*NVIDIA’s driver, and --cuda-provider set to the folder/)
        assert.match(error.message, /or set --device to cpu$/)
        return error.param === 'device'
      })
    }
  }
})

test('a provider alone is not enough: the driver or ONNX Runtime beside it is missing', async () => {
  writeFileSync(join(folder, provider), '')
  await assert.rejects(chooseDevice({ device: 'cuda', cudaProvider: folder }, never),
    /NVIDIA's driver is not installed \(.+\): CUDA needs|has no ONNX Runtime beside the provider: CUDA needs/)
})

test('a library that the provider lacks is named, and how to get it', () => {
  const message = 'ONNX Runtime: provider_bridge_ort.cc:1988 ProviderLibrary::Get() FAIL : Failed to load library ' +
    '/x/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object file: No such file\n'
  assert.match(explainCuda(message), /^libcublasLt\.so\.13 is missing, .*pip install nvidia-cublas .*LD_LIBRARY_PATH$/)
  assert.equal(explainCuda('CUDA failure 35: driver version is insufficient\n'),
    'CUDA failure 35: driver version is insufficient')
})

test('auto says why CUDA is passed over, and goes on', async () => {
  const said: string[] = []
  const opened = await chooseDevice({ device: 'auto', cudaProvider: join(folder, 'none') }, one => { said.push(one) })
  await opened?.device.close()
  assert.equal(said.length, 1)
  assert.match(said[0]!, opened ? /^running on webgpu, / : /^running on the processor \(cuda: .*; webgpu: /)
  assert.match(said[0]!, /cuda: .*none is no folder/)
})
