/** Programs that the system does not start because of what is handed to them. */
import t from 'tap';
import { runExecPlugin } from '../../../src/adapters/api/exec-plugin.ts';
import { runCommand } from '../../../src/adapters/hooks/command-process.ts';
import type { ClusterAccess } from '../../../src/kubeconfig/client-config.ts';
import type { ExecPlugin } from '../../../src/kubeconfig/model.ts';

/** Linux takes no single argument or variable of more than 128 KiB (MAX_ARG_STRLEN). */
const TOO_LONG = 'A'.repeat(200_000);
const PLUGIN: ExecPlugin = {
  command: '/bin/true',
  args: [],
  env: [],
  apiVersion: 'client.authentication.k8s.io/v1',
  provideClusterInfo: false,
};
const CLUSTER: ClusterAccess = { server: 'https://api.test', insecureSkipTlsVerify: false };

const plugins: readonly {
  readonly name: string;
  readonly plugin?: Partial<ExecPlugin>;
  readonly cluster?: Partial<ClusterAccess>;
  readonly message: RegExp;
}[] = [
  {
    name: 'a CA bundle of 200 kB is handed to it (provideClusterInfo)',
    plugin: { provideClusterInfo: true },
    cluster: { caPem: TOO_LONG },
    message: /too long for this system \(E2BIG\)/,
  },
  {
    name: 'a zero byte is in a variable, which the error quoted',
    plugin: { env: [{ name: 'PASSWORD', value: 'hunter\0two' }] },
    message: /zero byte/,
  },
  { name: 'a zero byte is in an argument', plugin: { args: ['hunter\0two'] }, message: /zero byte/ },
];
for (const { name, plugin, cluster, message } of plugins) {
  t.test(`an exec plugin is called a defect of certlet where ${name}`, async (t) => {
    const limits = { timeoutMs: 5000, signal: new AbortController().signal, onOutput: () => undefined };
    const started = runExecPlugin({ ...PLUGIN, ...plugin }, { ...CLUSTER, ...cluster }, {}, limits);
    const error: unknown = await started.catch((thrown: unknown) => thrown);
    t.match(error, { code: 'ERR_EXEC_PLUGIN', message });
    t.notMatch(String(error), /hunter/);
  });
}

for (const command of [
  ['/bin/true', TOO_LONG],
  ['/bin/true', 'hunter\0two'],
]) {
  t.test(
    `a hook that cannot be started ends its run with an exception: ${String(command[1]?.length)} characters`,
    async (t) => {
      const request = { command, env: {}, timeoutMs: 5000, onLine: () => undefined };
      const end = await runCommand(request, new AbortController().signal);
      t.match(end, { kind: 'notStarted', reason: /cannot be used \((?:E2BIG|ERR_INVALID_ARG_VALUE)\)/ });
    },
  );
}
