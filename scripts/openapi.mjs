// Writes docs/openapi.json, the OpenAPI 3.1 document of the /v2 API: `npm run openapi`.
import { writeFileSync } from 'node:fs'
import { openApiDocument } from '../dist/test/helpers/openapi.js'

writeFileSync(new URL('../docs/openapi.json', import.meta.url), await openApiDocument())
