import { runIn } from '../helpers/build.js'

// Every test of the routes once more, under a prefix.
runIn('prefix')
for (const file of ['base', 'blobs', 'extras', 'listings', 'manifests', 'uploads']) await import(`./${file}.test.js`)
