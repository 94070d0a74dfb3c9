/** `certlet run` on a host that has no name yet. */
import t from 'tap';
import { CertletError } from '../src/errors.ts';
import { type NameWaitEdge, settingsOnceNamed } from '../src/name-wait.ts';
import type { Settings } from '../src/config.ts';
import { FakeClock } from './fixtures/fakes/clock.ts';
import { FakeLogger } from './fixtures/fakes/logger.ts';

const settings = { nodeName: 'edge-7' } as unknown as Settings;
const nameless = (): CertletError =>
  new CertletError('ERR_NODE_NAME', 'this host has no name of its own yet', { remedy: '# R.' });

function edgeOf(load: () => Promise<Settings>, signal = new AbortController().signal) {
  const clock = new FakeClock();
  const log = new FakeLogger();
  const edge: NameWaitEdge = {
    environment: {},
    pid: 1,
    loadSettings: load,
    openLog: async () => log,
    onReload: () => () => undefined,
    signal,
    clock,
  };
  return { clock, log, edge };
}

t.test('with a name nothing is waited for and nothing said', async (t) => {
  const { edge, log } = edgeOf(async () => settings);
  t.equal(await settingsOnceNamed(edge), settings);
  t.equal(log.of('Waiting for a node name').length, 0);
});

t.test('(none) or localhost at boot ended the service with 78 for good, or asked for that name', async (t) => {
  let name = '';
  const { edge, clock, log } = edgeOf(async () => {
    if (name === '') throw nameless();
    return settings;
  });
  const waiting = settingsOnceNamed(edge);
  await clock.advance(60_000);
  t.match(log.of('Waiting for a node name'), [{ level: 'warn', fields: { code: 'ERR_NODE_NAME', remedy: '# R.' } }]);
  name = 'edge-7';
  await clock.advance(2_000);
  t.equal(await waiting, settings);
});

t.test('stopped meanwhile it ends', async (t) => {
  const stop = new AbortController();
  const { edge, clock } = edgeOf(async () => {
    throw nameless();
  }, stop.signal);
  const waiting = settingsOnceNamed(edge);
  await clock.advance(5_000);
  stop.abort();
  t.equal(await waiting, undefined);
});

t.test('settings that become wrong meanwhile end it with what is wrong', async (t) => {
  let error = nameless();
  const { edge, clock } = edgeOf(async () => {
    throw error;
  });
  const waiting = settingsOnceNamed(edge);
  await clock.settle();
  error = new CertletError('ERR_CONFIG_INVALID', 'wrong');
  waiting.catch(() => undefined);
  await clock.advance(2_000);
  await t.rejects(waiting, { code: 'ERR_CONFIG_INVALID' });
});
