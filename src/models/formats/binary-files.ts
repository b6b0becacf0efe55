/** Open files: reading exact parts of them, and closing them when something fails. */
import type { FileHandle } from 'node:fs/promises'

/** Fills bytes from a file. @throws Error if the file ends before */
export async function readInto (bytes: Uint8Array, file: FileHandle, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, offset + done)
    if (bytesRead === 0) throw new Error(`the file is ${bytes.length - done} bytes too short`)
    done += bytesRead
  }
}

/** Part of a file. @throws Error if the file ends before */
export async function readExactly (file: FileHandle, offset: number, sizeBytes: number): Promise<DataView> {
  const bytes = new Uint8Array(sizeBytes)
  await readInto(bytes, file, offset)
  return new DataView(bytes.buffer)
}

/** What is made of an open file. If that fails, the file is closed. */
export async function closingOnError<T, F extends { close (): Promise<void> }> (
  file: F, make: (file: F) => T | Promise<T>
): Promise<T> {
  try {
    return await make(file)
  } catch (error) {
    await file.close()
    throw error
  }
}
