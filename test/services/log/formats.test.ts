import t from 'tap'
import { pino } from 'pino'
import { errorRecord } from '../../../services/log/error-text.js'
import { lineFormat } from '../../../services/log/formats.js'
import type { Fields, Formatter, Level } from '../../../services/log/formats.js'
import { formatted } from '../../../services/log/pino-lines.js'

const TIME = Date.UTC(2026, 10, 24, 9, 52, 51, 7)
const line = (formatter: Formatter, message: string, fields: Fields = {}, { base = {}, level = 'info' as Level } = {}): string => lineFormat(formatter, base)({ time: TIME, level, message, fields })

t.test('text is the logfmt of docker\'s registry: quotes only where they are needed', async t => {
  t.equal(
    line('text', 'response completed', { 'http.request.host': '127.0.0.1:5000', 'http.request.method': 'GET', 'http.response.status': 200, 'vars.name': 'a/b', isAborted: false }, { base: { service: 'registry' } }),
    'time="2026-11-24T09:52:51.007Z" level=info msg="response completed" http.request.host="127.0.0.1:5000" http.request.method=GET http.response.status=200 vars.name=a/b isAborted=false service=registry\n'
  )
  t.equal(line('text', 'audit', { audit: { action: 'push', nested: { a: 1 } } }), 'time="2026-11-24T09:52:51.007Z" level=info msg=audit audit.action=push audit.nested.a=1\n')
  t.match(line('text', 'x', { list: ['a', 1], missing: undefined, empty: '', nothing: null }), ' list="[\\"a\\",1]" empty="" nothing="null"\n')
})

t.test('json and logstash are one object with the names that docker\'s registry has', async t => {
  const fields = { 'vars.name': 'a/b', count: 3, nested: { a: [1] }, missing: undefined }
  t.same(JSON.parse(line('json', 'hi', fields, { base: { service: 'registry' }, level: 'warning' })), { level: 'warning', msg: 'hi', time: '2026-11-24T09:52:51.007Z', 'vars.name': 'a/b', count: 3, nested: { a: [1] }, service: 'registry' })
  t.same(JSON.parse(line('logstash', 'hi', fields)), { '@timestamp': '2026-11-24T09:52:51.007Z', '@version': '1', level: 'info', message: 'hi', 'vars.name': 'a/b', count: 3, nested: { a: [1] } })
})

t.test('a field that is called as a part of the line does not take its place', async t => {
  const fields = { level: 'x', msg: 'y', time: 'z', message: 'w', '@timestamp': 'v' }
  t.match(JSON.parse(line('json', 'hi', fields)), { level: 'info', msg: 'hi', 'fields.level': 'x', 'fields.msg': 'y', 'fields.time': 'z', message: 'w' })
  t.match(JSON.parse(line('logstash', 'hi', {}, { base: fields })), { level: 'info', message: 'hi', 'fields.level': 'x', 'fields.message': 'w', 'fields.@timestamp': 'v', msg: 'y' })
  t.match(line('text', 'hi', fields), ' msg=hi fields.level=x fields.msg=y fields.time=z message=w @timestamp=v\n')
})

for (const formatter of ['text', 'json', 'logstash', 'terminal'] as const) {
  t.test(`${formatter}: whatever is in a message, a name or a value, it is one line and shows no control character`, async t => {
    const nasty = ['\n', '\r\n', '\u0000', '\u001b[2J', '"', '\\', '\u007f', '\u009b31m', '\u2028', '\u2029', '\u202e', '\ufeff', '\ud800', '" level=error msg="forged', '\n{"level":"error"}']
    for (const [i, value] of [...nasty, nasty.join('')].entries()) {
      const written = line(formatter, value, { value, [value]: 1, nested: { [value]: value } })
      t.equal(written.indexOf('\n'), written.length - 1, `text ${i}`)
      // eslint-disable-next-line no-control-regex
      const shown = formatter === 'terminal' ? written.replaceAll(/\u001b\[\d+m/g, '') : written
      // eslint-disable-next-line no-control-regex
      t.notMatch(shown.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\ufeff]/, `text ${i}`)
      if (formatter === 'json' || formatter === 'logstash') t.equal((JSON.parse(written) as { value: string }).value, value, `text ${i}`)
    }
  })
}

t.test('a forged field stays in its quotes', async t => {
  t.equal(line('text', 'x', { 'http.request.useragent': 'a" level=error msg="b' }), 'time="2026-11-24T09:52:51.007Z" level=info msg=x http.request.useragent="a\\" level=error msg=\\"b"\n')
})

t.test('a terminal shows time, level in colour and message first, and nothing that identifies the process', async t => {
  const written = line('terminal', 'response "completed"', { 'vars.name': 'a/b' }, { base: { 'instance.id': 'x', version: '1', 'go.version': 'y', service: 'registry' }, level: 'error' })
  t.equal(written, '\u001b[90m09:52:51.007\u001b[39m \u001b[31mERRO\u001b[39m response "completed" \u001b[90mvars.name=\u001b[39ma/b \u001b[90mservice=\u001b[39mregistry\n')
})

t.test('what pino is told is written in the format, with its levels and bindings', async t => {
  const lines: string[] = []
  const logger = pino({ level: 'debug', base: null, serializers: { err: errorRecord } }, formatted(lineFormat('json', { service: 'registry' }), text => lines.push(text)))
  logger.child({ 'http.request.id': '1' }).warn({ a: 1 }, 'careful')
  logger.debug('only text')
  logger.error({ err: Object.assign(new Error('broken', { cause: new Error('disk is full') }), { code: 'EIO', headers: { authorization: 'Basic abc' } }) }, 'failed')
  const [first, second, third] = lines.map(text => JSON.parse(text) as Record<string, unknown>)
  t.match(first, { level: 'warning', msg: 'careful', 'http.request.id': '1', a: 1, service: 'registry', time: /^\d{4}-.*Z$/ })
  t.match(second, { level: 'debug', msg: 'only text' })
  t.match(third, { level: 'error', msg: 'failed', err: { type: 'Error', message: 'broken', code: 'EIO', stack: /Error: broken[^]*caused by: Error: disk is full/ } })
  t.notMatch(lines.join(''), 'Basic abc', 'nothing else that an error carries along')
})
