import { join } from 'node:path'
import t from 'tap'
import { copyCommand } from '../../../services/commands/copy.js'
import type { OptionValues } from '../../../services/commands/command.js'
import type { ConfigSources } from '../../../services/config/load.js'
import { ConfigError } from '../../../services/errors/config-error.js'

t.test('what is wrong with the command line is a line each', async t => {
  const directory = t.testdir({ 'a.yml': 'version: 0.1\nstorage: { filesystem: { rootdirectory: a } }\n', 'm.yml': 'version: 0.1\nstorage: inmemory\n' })
  const [a, m] = ['a.yml', 'm.yml'].map(name => join(directory, name))
  const table: Array<[OptionValues, Partial<ConfigSources>, RegExp[]]> = [
    [{}, {}, [/^--from: is missing$/, /^--to: is missing$/]],
    [{ from: a, to: a }, {}, [/^--to: is the same storage as that of --from: \/.*a$/]],
    [{ from: a, to: m }, {}, [/^--to: what is in memory would be lost when the command ends$/]],
    [{ from: a, to: m }, { file: 'c.yml' }, [/^copy: takes its configurations from --from and --to only$/]],
    [{ from: a, to: m }, { settings: ['http.addr=:1'] }, [/^--set: has no meaning for copy, which has two configurations$/]],
    [{ from: a, to: m, rate: 'fast' }, {}, [/^--rate: a number of bytes such as 50MB is needed, not "fast"$/]],
    [{ from: a, to: m, repository: ['team/app', 'No'] }, {}, [/^--repository: .*: No$/]],
    [{ from: a, to: join(directory, 'none.yml') }, {}, [/none\.yml/]]
  ]
  for (const [values, sources, lines] of table) {
    const error = await copyCommand.run({ file: undefined, environment: {}, ...sources }, values, { out: process.stdout, err: process.stderr }).then(() => undefined, (error: unknown) => error)
    if (!(error instanceof ConfigError)) throw new Error(`no error for ${JSON.stringify(values)}`, { cause: error })
    t.equal(error.lines.length, lines.length)
    for (const [i, line] of lines.entries()) t.match(error.lines[i], line)
  }
})
