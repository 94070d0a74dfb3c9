/** Reloads of `certlet run` in the test's own process: settings that change and go bad, and what others see of it meanwhile. */
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { callControl } from '../src/adapters/control/client.ts';
import { acquireLock } from '../src/adapters/lock.ts';
import { PUBLISHER_LOCK } from '../src/adapters/status-file.ts';
import { openStore } from '../src/assembly.ts';
import type { StatusDocument } from '../src/status/document.ts';
import { timestamp } from '../src/timestamp.ts';
import { eventually } from './fixtures/eventually.ts';
import { FakeClock } from './fixtures/fakes/clock.ts';
import { change, replace, running, WAITS } from './fixtures/running-daemon.ts';

t.test('within a reload the daemon was gone, its lock free, and what was asked of it lost', async (t) => {
  const { host, context, stderr, reload, loaded } = await running(t);
  await stderr.shows(WAITS);
  const settings = await context.loadSettings();
  const store = openStore(settings, { log: () => undefined });
  const path = join(host.runtimeDir, 'status.json');
  const found: string[] = [];
  const look = async (): Promise<void> => {
    const reply = await callControl(host.socket, { method: 'GET', path: '/status' }).catch(String);
    if (typeof reply === 'string' || reply.kind !== 'answer')
      return void found.push(`status: ${JSON.stringify(reply)}`);
    if (reply.status !== 200 || /"phase": "starting"/.test(reply.text)) found.push(`status: ${reply.text}`);
    if (/stoppedAt/.test(readFileSync(path, 'utf8'))) found.push('the status file says that it has stopped');
    for (const folder of [host.certDir, host.runtimeDir]) {
      const file = folder === host.certDir ? {} : { file: PUBLISHER_LOCK };
      const lock = await acquireLock(folder, { label: 'certlet renew', ...file }).catch(() => undefined);
      if (lock !== undefined) found.push(`${folder} is free`);
      await lock?.release();
    }
  };
  await eventually('the status file', () => existsSync(path) || undefined);
  for (let reloads = 0; reloads < 20; reloads += 1) {
    const read = loaded();
    reload();
    for (let looks = 0; looks < 3; looks += 1) await look();
    await read;
    const before = new Date();
    const reply = await callControl(host.socket, { method: 'POST', path: '/renew' }).catch(String);
    t.match(reply, { kind: 'answer', status: 202 });
    const { renewWantedAt } = await store.readHistory('client');
    if (renewWantedAt === undefined || renewWantedAt < before) found.push('a wish is lost');
  }
  t.strictSame([...new Set(found)], []);
  t.equal(stderr.text.match(/Settings reloaded/g)?.length, 20);
  t.notMatch(stderr.text, /No control socket|Cannot use|Another certlet/);
});

t.test('a reload makes a socket and a lock anew that somebody has removed', async (t) => {
  const { host, stderr, reload } = await running(t);
  await stderr.shows(WAITS);
  rmSync(host.socket);
  reload();
  await eventually('the socket', () => existsSync(host.socket) || undefined);
  renameSync(host.runtimeDir, `${host.runtimeDir}.old`);
  reload();
  await eventually('the socket', () => existsSync(host.socket) || undefined);
  await t.rejects(acquireLock(host.runtimeDir, { label: 'certlet renew', file: PUBLISHER_LOCK }), {
    code: 'ERR_LOCK_HELD',
  });
  t.match(await callControl(host.socket, { method: 'GET', path: '/log-level' }), { status: 200 });
});

t.test('after a reload with another runtime folder the old one says that nobody is there', async (t) => {
  const { host, stderr, reload } = await running(t);
  await stderr.shows(WAITS);
  const next = join(host.folder, 'run2');
  change(host, { runtimeDir: next });
  reload();
  await eventually('the new socket', () => existsSync(join(next, 'control.sock')) || undefined);
  t.notOk(existsSync(host.socket));
  t.match(readFileSync(join(host.runtimeDir, 'status.json'), 'utf8'), /stoppedAt/);
  const lock = await acquireLock(host.runtimeDir, { label: 'certlet renew', file: PUBLISHER_LOCK });
  await lock.release();
});

t.test('after a reload status gave a process of 12 minutes for one that had just started', async (t) => {
  const clock = new FakeClock();
  const begun = clock.now();
  const { host, stderr, reload } = await running(t, {}, undefined, { clock });
  await stderr.shows(WAITS);
  await clock.advance(12 * 60_000);
  reload();
  await stderr.shows(/no bootstrap kubeconfig at[^]*Settings reloaded[^]*no bootstrap kubeconfig at/);
  const shown = await callControl(host.socket, { method: 'GET', path: '/status' });
  const { process } = JSON.parse(shown.kind === 'answer' ? shown.text : '{}') as StatusDocument;
  t.match(process, { startedAt: timestamp(clock.now()), processStartedAt: timestamp(begun) });
});

t.test('an edited settings file is taken by itself; one that was only touched is not', async (t) => {
  const { host, stderr, loaded } = await running(t);
  await stderr.shows(WAITS);
  const looked = loaded();
  change(host, {});
  await looked;
  t.notMatch(stderr.text, /Settings reloaded/);
  change(host, { log: { level: 'debug' } });
  await stderr.shows(/Settings reloaded/);
  t.equal(stderr.text.match(/Settings reloaded/g)?.length, 1);
});

t.test('the same complaint about an edited settings file is told once, an order is answered each time', async (t) => {
  const { host, stderr, reload } = await running(t);
  await stderr.shows(WAITS);
  const complaints = (): number => stderr.text.match(/The new settings cannot be used/g)?.length ?? 0;
  replace(host, 'certDri: /x\n');
  await stderr.shows(/The new settings cannot be used.*certDri/);
  replace(host, 'certDri: /x\n# still wrong\n');
  // Another complaint shows that the one before has been judged.
  replace(host, 'nodeIp: x\n');
  await stderr.shows(/The new settings cannot be used.*nodeIp/);
  t.equal(complaints(), 2);
  replace(host, 'nodeIp: x\ncertDri: /x\n');
  await stderr.shows(/settings: 2 problems: \S+:1: nodeIp: is not .*; \S+:2: certDri: is not .*/);
  t.notMatch(stderr.text, '\\n');
  replace(host, 'certDir: "/x\n');
  await stderr.shows(/The new settings cannot be used.*\S+:\d+:\d+: .* fix: \$\{EDITOR:-vi\} \+\d+ /);
  t.notMatch(stderr.text, '\\n');
  reload();
  await stderr.shows(/(?:The new settings cannot be used[^]*){3}/);
  const reply = await callControl(host.socket, { method: 'POST', path: '/reload' });
  t.match(reply, { kind: 'answer', status: 422 });
});

t.test('a settings file that goes away leaves the old settings in force', async (t) => {
  const { host, stderr, reload, stop, ended } = await running(t);
  await stderr.shows(WAITS);
  rmSync(host.settingsPath);
  reload();
  await stderr.shows(/The new settings cannot be used; keeping the old ones/);
  stop.abort();
  await ended;
});
