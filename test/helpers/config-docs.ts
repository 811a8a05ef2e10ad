import { configSchema } from '../../schemas/config/index.js'
import { formatPath } from '../../services/config/schema-node.js'
import type { SchemaNode } from '../../services/config/schema-node.js'

const EXAMPLE_HEAD = `# Configuration of the standalone server: oci-registry serve config.yml
# Every key, with its default; what is commented out has none. The shape is that of docker's registry
# (\`registry:2\`, \`registry:3\`). Written by \`npm run configuration\` from the schema; docs/configuration.md
# has it as a table.

`

/** config.example.yml: every key of the schema, its description above it, its default behind it. */
export function exampleConfig (): string {
  return EXAMPLE_HEAD + Object.entries(configSchema.properties).map(([key, schema]) => `${entry(key, schema, 0, false).join('\n')}\n`).join('\n')
}

/** Keys that an example must not set, although they may be left out with a default: the other drivers, one of several. */
const COMMENTED = new Set(['inmemory', 's3', 's3aws', 'azure', 'gcs'])

function entry (key: string, schema: SchemaNode, depth: number, isCommented: boolean): string[] {
  const commented = isCommented || COMMENTED.has(key) || (schema.type === 'object' && schema.default === undefined && key !== 'filesystem')
  const indent = '  '.repeat(depth)
  const off = commented ? '# ' : ''
  const about = schema.description === undefined ? [] : [`${indent}# ${schema.description}`]
  if (key === 'version') return [...about, 'version: 0.1']
  const children = Object.entries(schema.properties ?? {})
  if (children.length > 0) return [...about, `${indent}${off}${key}:`, ...children.flatMap(([name, child]) => entry(name, child, depth + 1, commented))]
  if (schema.default === undefined || commented) return [...about, `${indent}# ${key}:${schema.type === 'object' ? ' {}' : ''}`.trimEnd()]
  return [...about, `${indent}${off}${key}: ${JSON.stringify(schema.default)}`]
}

const REFERENCE_HEAD = `# Configuration

Every key of \`config.yml\`, in the shape of docker's registry; [config.example.yml](../config.example.yml) has them in their places.

- **Where it comes from.** \`oci-registry serve config.yml\`, or the file that \`REGISTRY_CONFIGURATION_PATH\` names, or what is built in. Over the file the environment: \`REGISTRY_HTTP_ADDR\` sets \`http.addr\`, values are YAML, \`REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL\` reaches into lists, \`REGISTRY_STORAGE=inmemory\` replaces a whole part, and \`REGISTRY_HTTP_SECRET_FILE\` reads a text from a file. Over both the command line: \`--set http.addr=:5001\`.
- **What was understood.** \`oci-registry check config.yml\` prints the complete configuration with the origin of every value, secrets masked.
- **Mistakes.** One line each, all of them at once, and exit status 1. A key that does not exist is a warning that names the nearest one; with \`--strict\` it is an error.
- **Types.** Texts are taken as they are written (\`version: 0.1\`, \`password: 0123\`). Booleans are true, yes, on and their opposites. Durations are Go's: \`300ms\`, \`1h30m\`; a bare number is nanoseconds.
- **Not built yet.** Keys of parts that are not there are known. They are refused with one line each when leaving them out would change what the registry does, and cause a warning when nobody would notice; \`check\` says both without starting anything.

Written by \`npm run configuration\` from the schema.

| key | type | default | meaning |
| --- | --- | --- | --- |
`

/** docs/configuration.md. */
export function configurationReference (): string {
  return REFERENCE_HEAD + rows(configSchema, []).join('')
}

function rows (schema: SchemaNode, path: readonly string[]): string[] {
  const children = Object.entries(schema.properties ?? {}).flatMap(([key, child]) => rows(child, [...path, key]))
  const items = schema.items?.properties === undefined ? [] : rows(schema.items, [...path, '0'])
  const isLeaf = children.length === 0 || schema.description !== undefined
  const own = path.length === 0 || !isLeaf || (path.at(-1) === '0' && children.length > 0) ? [] : [row(schema, path, children.length > 0)]
  return [...own, ...children, ...items]
}

function row (schema: SchemaNode, path: readonly string[], hasChildren: boolean): string {
  const type = schema.enum === undefined ? schema.format ?? { object: 'map', array: 'list', string: 'text', integer: 'number' }[schema.type ?? ''] ?? schema.type ?? '' : schema.enum.join(', ')
  const shown = schema.default === undefined || hasChildren ? '' : `\`${JSON.stringify(schema.default).replace(/^"(.*)"$/, '$1')}\``
  return `| \`${formatPath(path).replaceAll('[0]', '[]')}\` | ${type} | ${shown} | ${schema.description ?? ''} |\n`
}
