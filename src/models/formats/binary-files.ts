/** Files: opened if they are files, read in exact parts or whole, closed when something fails. */
import { open, stat, type FileHandle } from 'node:fs/promises'

/** Size of a file, bytes. @throws Error for what is no file: reading a pipe or a device would never end */
async function sizeOf (path: string): Promise<number> {
  const found = await stat(path)
  if (!found.isFile()) throw new Error('it is not a regular file')
  return found.size
}

/** Opens a file to read it. @throws Error for what is no file, or cannot be opened */
export async function openFile (path: string): Promise<FileHandle> {
  await sizeOf(path)
  return await open(path)
}

/** A whole file. @param maxBytes refused above this @throws Error for what is no file, larger, or cannot be read */
export async function readWhole (path: string, maxBytes: number): Promise<Uint8Array> {
  const size = await sizeOf(path)
  if (size > maxBytes) throw new Error(`it has ${size} bytes; at most ${maxBytes} are read`)
  const file = await open(path)
  try {
    return new Uint8Array((await readExactly(file, 0, size)).buffer)
  } finally {
    await file.close()
  }
}

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
