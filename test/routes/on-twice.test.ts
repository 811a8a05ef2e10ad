import { runIn } from '../helpers/build.js'

// Every test of the routes once more, beside another registry in the same server.
runIn('twice')
for (const file of ['base', 'blobs', 'extras', 'listings', 'manifests', 'uploads']) await import(`./${file}.test.js`)
