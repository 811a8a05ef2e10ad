import { parentPort } from 'node:worker_threads'
import { resultOf } from './changes.js'
import type { Call } from './changes.js'

/** After so many the results are sent: while the rest is done, the other thread can go on with these. */
const MAX_RESULTS = 2

parentPort?.on('message', (batch: ReadonlyArray<readonly Call[]>) => {
  for (let at = 0; at < batch.length; at += MAX_RESULTS) {
    parentPort?.postMessage(batch.slice(at, at + MAX_RESULTS).map(resultOf))
  }
})
