/** What is kept in this browser, in IndexedDB: data sets of ratings, runs. Nothing is sent anywhere. */

const stores = ['sets', 'runs'] as const
type StoreName = (typeof stores)[number]

let opened: Promise<IDBDatabase> | null = null

function open (): Promise<IDBDatabase> {
  return (opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open('fairlead-inspector', 1)
    request.onupgradeneeded = () => { for (const name of stores) request.result.createObjectStore(name) }
    request.onsuccess = () => { resolve(request.result) }
    request.onerror = () => { reject(request.error ?? new Error('IndexedDB could not be opened')) }
  }))
}

async function run<T> (
  name: StoreName, mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>
): Promise<T> {
  const database = await open()
  return await new Promise((resolve, reject) => {
    const transaction = database.transaction(name, mode)
    const request = work(transaction.objectStore(name))
    transaction.oncomplete = () => { resolve(request.result) }
    transaction.onabort = () => { reject(transaction.error ?? new Error('IndexedDB refused to store this')) }
  })
}

export const readAll = <T>(name: StoreName): Promise<T[]> =>
  run(name, 'readonly', store => store.getAll() as IDBRequest<T[]>)
export const write = async (name: StoreName, key: string, value: unknown): Promise<void> => {
  await run(name, 'readwrite', store => store.put(value, key))
}
export const remove = async (name: StoreName, key: string): Promise<void> => {
  await run(name, 'readwrite', store => store.delete(key))
}
export const removeAll = async (name: StoreName): Promise<void> => {
  await run(name, 'readwrite', store => store.clear())
}
