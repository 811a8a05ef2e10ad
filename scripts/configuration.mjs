// Writes config.example.yml and docs/configuration.md from the schema: `npm run configuration`.
import { writeFileSync } from 'node:fs'
import { configurationReference, exampleConfig } from '../dist/test/helpers/config-docs.js'

writeFileSync(new URL('../config.example.yml', import.meta.url), exampleConfig())
writeFileSync(new URL('../docs/configuration.md', import.meta.url), configurationReference())
