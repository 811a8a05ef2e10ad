import t from 'tap'
import { AccessPolicy } from '../../../services/auth/policy.js'
import type { Identity } from '../../../services/auth/credentials.js'
import type { RepositoryName } from '../../../services/reference/reference.js'
import { records } from '../../helpers/auth.js'

const ann: Identity = { user: 'ann', groups: ['devs'] }
const bob: Identity = { user: 'bob', groups: [] }
const STRANGER = undefined

const policy = new AccessPolicy([
  { repositories: ['public/**'], actions: ['pull'], anonymous: true },
  { repositories: ['team/*', 'shared'], actions: ['pull', 'push'], groups: ['devs'] },
  { repositories: ['home/ann/**'], actions: ['*'], users: ['ann'] },
  { repositories: ['internal/**'], actions: ['pull'], authenticated: true },
  { repositories: ['drop/box'], actions: ['push'], users: ['bob'] }
])

function may (who: Identity | undefined, ...scopes: string[]): boolean[] {
  return records(...scopes).map(record => policy.allows(who, record))
}

t.test('what no rule allows is denied', async t => {
  for (const who of [STRANGER, ann, bob]) t.same(may(who, 'repository:elsewhere:pull,push,delete,*'), [false, false, false, false])
  for (const who of [STRANGER, ann]) t.equal(new AccessPolicy([]).allows(who, { type: 'repository', name: 'a', action: 'pull' }), false)
})

t.test('an anonymous rule is for everybody', async t => {
  for (const who of [STRANGER, ann, bob]) t.same(may(who, 'repository:public/a:pull,push,delete'), [true, false, false])
})

t.test('groups, users and those who are logged in are let in where they are named, and strangers are not', async t => {
  t.same(may(ann, 'repository:team/app:pull,push,delete,*'), [true, true, false, false])
  t.same(may(bob, 'repository:team/app:pull,push'), [false, false])
  t.same(may(ann, 'repository:home/ann/x:pull,push,delete,*'), [true, true, true, true])
  t.same(may(bob, 'repository:home/ann/x:pull'), [false])
  t.same([STRANGER, ann, bob].map(who => may(who, 'repository:internal/x:pull')[0]), [false, true, true])
  t.same(may({ user: 'devs', groups: [] }, 'repository:team/app:pull'), [false], 'a user called like a group')
  t.same(may({ user: 'x', groups: ['ann'] }, 'repository:home/ann/x:pull'), [false], 'a group called like a user')
})

t.test('* stays in a component, ** goes across, and neither is the empty one', async t => {
  const table: Array<[string, string[], string[]]> = [
    ['team/*', ['team/app', 'team/a.b-c__d'], ['team', 'team/a/b', 'xteam/a', 'team2/a']],
    ['team/**', ['team/app', 'team/a/b'], ['team', 'teams/a']],
    ['**', ['a', 'a/b/c'], []],
    ['*', ['a'], ['a/b']],
    ['**/base', ['base', 'a/base', 'a/b/base'], ['a/basex', 'base/a']],
    ['team-*/app', ['team-a/app'], ['team/app', 'team-a/b/app']],
    ['a.b', ['a.b'], ['axb']],
    ['a/{b,c/d}/e', ['a/b/e', 'a/c/d/e'], ['a/c/e', 'a/d/e']],
    ['[ab]/?', ['a/x', 'b/1'], ['c/x', 'a/xx']]
  ]
  for (const [pattern, yes, no] of table) {
    const one = new AccessPolicy([{ repositories: [pattern], actions: ['pull'], anonymous: true }])
    const pull = (name: string): boolean => one.allows(undefined, { type: 'repository', name, action: 'pull' })
    t.same(yes.filter(name => !pull(name)), [], pattern)
    t.same(no.filter(pull), [], pattern)
    const { mayContain, mayPull } = one.visibleTo(undefined)
    for (const name of yes) {
      t.ok(mayPull(name as RepositoryName), name)
      const parents = name.split('/').slice(0, -1).map((_, i, all) => all.slice(0, i + 1).join('/'))
      t.same(parents.filter(path => mayContain?.(path) !== true), [], `${pattern} is found on the way to ${name}`)
    }
  }
})

t.test('a path is not looked below when nothing there can match', async t => {
  const { mayContain } = policy.visibleTo(ann)
  const open = ['public', 'public/a', 'public/a/b', 'team', 'home', 'home/ann', 'home/ann/x', 'internal']
  t.same([...open, 'team/a', 'shared', 'home/bob', 'elsewhere', 'drop', 'drop/box'].filter(path => mayContain?.(path)), open)
})

t.test('a name that is none is denied, whatever the pattern', async t => {
  const all = new AccessPolicy([{ repositories: ['**'], actions: ['*'], anonymous: true }])
  for (const name of ['', 'UPPER', 'a//b', '../a', 'a/../b', '.hidden', 'a%2Fb', '*', '**']) {
    t.equal(all.allows(undefined, { type: 'repository', name, action: 'pull' }), false, name)
  }
})

t.test('the catalog is for those who may pull something', async t => {
  t.same([STRANGER, ann, bob].map(who => may(who, 'registry:catalog:*')[0]), [true, true, true])
  const closed = new AccessPolicy([
    { repositories: ['a'], actions: ['pull'], users: ['ann'] },
    { repositories: ['a'], actions: ['push'], users: ['bob'] }
  ])
  const catalog = { type: 'registry', name: 'catalog', action: '*' } as const
  t.same([STRANGER, ann, bob].map(who => closed.allows(who, catalog)), [false, true, false])
  t.equal(closed.allows(ann, { ...catalog, name: 'other' }), false)
})
