/** Native libraries: koffi takes its configuration only before the first is loaded, so all are loaded here. */
import koffi from 'koffi'

let configured = false

/**
 * Loads a library. What it exports must be held, or the collector unloads it.
 * @param path null for what the process has loaded
 */
export function loadLibrary (path: string | null): ReturnType<typeof koffi.load> {
  // Graph compilation needs more than koffi's default stack of 128 KiB.
  if (!configured) koffi.config({ ...koffi.config(), async_stack_size: 8 << 20, sync_stack_size: 8 << 20 })
  configured = true
  return koffi.load(path)
}
