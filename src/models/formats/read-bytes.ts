/** Reads part of a file, all of it or not at all. */
import type { FileHandle } from 'node:fs/promises'

/** @throws Error if the file ends before */
export async function readExactly (file: FileHandle, offset: number, sizeBytes: number): Promise<DataView> {
  const bytes = new Uint8Array(sizeBytes)
  for (let done = 0; done < sizeBytes;) {
    const { bytesRead } = await file.read(bytes, done, sizeBytes - done, offset + done)
    if (bytesRead === 0) throw new Error(`the file is ${sizeBytes - done} bytes too short`)
    done += bytesRead
  }
  return new DataView(bytes.buffer)
}
