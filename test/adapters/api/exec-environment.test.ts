import t from 'tap';
import { execEnvironment, runExecPlugin } from '../../../src/adapters/api/exec-plugin.ts';

const PASSWORD = 'http://user:hunter2@proxy:3128';
const never = new AbortController().signal;

t.test('a plugin inherits what an admin set, and nothing of the service itself', async (t) => {
  const given = {
    PATH: '/bin',
    HOME: '/h',
    AWS_PROFILE: 'edge',
    NODE_NAME: 'n1',
    CREDENTIALS_DIRECTORY: '/c',
    unset: undefined,
  };
  const ours = {
    NOTIFY_SOCKET: '/run/systemd/notify',
    WATCHDOG_PID: '1',
    WATCHDOG_USEC: '1',
    INVOCATION_ID: '1',
    JOURNAL_STREAM: '1:2',
    LISTEN_FDS: '1',
    NODE_OPTIONS: '--inspect',
    MALLOC_ARENA_MAX: '1',
    UV_THREADPOOL_SIZE: '2',
  };
  const { unset: _, ...arrives } = given;
  t.strictSame(execEnvironment({ ...given, ...ours }), { variables: arrives, withheld: [] });
});

t.test('a proxy with a password is withheld, one without arrives', async (t) => {
  const proxies = { https_proxy: PASSWORD, HTTP_PROXY: 'http://proxy:3128', ALL_PROXY: PASSWORD, NO_PROXY: 'a@b' };
  t.strictSame(execEnvironment(proxies), {
    variables: { HTTP_PROXY: 'http://proxy:3128', NO_PROXY: 'a@b' },
    withheld: ['https_proxy', 'ALL_PROXY'],
  });
});

for (const row of [
  { name: 'the error of a plugin says which proxy it did not get', env: [], hint: true },
  { name: 'not where the kubeconfig gives one', env: [{ name: 'HTTPS_PROXY', value: 'http://other:1' }], hint: false },
]) {
  t.test(row.name, async (t) => {
    const plugin = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: '/bin/false',
      args: [],
      provideClusterInfo: false,
    };
    const cluster = { server: 'https://192.0.2.1', insecureSkipTlsVerify: false };
    const limits = { timeoutMs: 5000, signal: never, onOutput: () => undefined };
    const error: unknown = await runExecPlugin(
      { ...plugin, env: row.env },
      cluster,
      { HTTPS_PROXY: PASSWORD },
      limits,
    ).catch((thrown: unknown) => thrown);
    t.match(error, { code: 'ERR_EXEC_PLUGIN' });
    const { remedy } = error as { remedy: string };
    t.equal(/HTTPS_PROXY holds a password/.test(remedy), row.hint, remedy);
    t.notMatch(remedy, /hunter2/);
  });
}
