import t from 'tap'
import { build, runIn } from '../helpers/build.js'
import { registryBehaviour } from '../suites/registry-behaviour.js'

// Every test of the routes once more, over HTTP/2.
runIn('http2')
for (const file of ['base', 'blobs', 'extras', 'listings', 'manifests', 'uploads']) await import(`./${file}.test.js`)
registryBehaviour(t, 'over HTTP/2', async t => ({ app: await build(t), prefix: '' }))
