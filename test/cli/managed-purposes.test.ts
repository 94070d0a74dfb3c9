/** Which certificate is meant by the name on a command line. */
import t from 'tap';
import { managedPurposes } from '../../src/cli/managed-purposes.ts';
import type { Settings } from '../../src/config.ts';

const settingsFor = (...names: readonly string[]): Pick<Settings, 'specs'> =>
  ({ specs: names.map((name) => ({ name })) }) as unknown as Pick<Settings, 'specs'>;

const CLIENT = settingsFor('kubelet-client');
const THREE = settingsFor('kubelet-client', 'kubelet-server', 'etcd-peer');

for (const { settings, wanted, found } of [
  { settings: THREE, wanted: undefined, found: ['kubelet-client', 'kubelet-server', 'etcd-peer'] },
  { settings: THREE, wanted: 'etcd-peer', found: ['etcd-peer'] },
  { settings: settingsFor(), wanted: undefined, found: [] },
]) {
  t.test(`${wanted ?? 'no name'} means ${found.join(', ') || 'nothing'}`, async (t) => {
    t.strictSame(managedPurposes(settings, wanted, ['renew']), found);
  });
}

for (const { name, settings, wanted, command, message, remedy } of [
  {
    name: 'a slip of the finger is answered with the line that was meant',
    settings: THREE,
    wanted: 'etcd-pear',
    command: 'renew',
    message: 'no certificate is named "etcd-pear": there are kubelet-client, kubelet-server, etcd-peer',
    remedy: 'certlet renew etcd-peer --wait',
  },
  {
    name: 'and with the command that was typed',
    settings: THREE,
    wanted: 'ETCD_PEER',
    command: 'status',
    message: /"ETCD_PEER"/,
    remedy: 'certlet status etcd-peer --wait',
  },
  {
    name: 'what is like nothing is answered with what shows the names',
    settings: CLIENT,
    wanted: 'ingress',
    command: 'renew',
    message: 'no certificate is named "ingress": there are kubelet-client',
    remedy: 'certlet status',
  },
  {
    name: 'what could steer a terminal or end a line is quoted',
    settings: CLIENT,
    wanted: 'a\u001b[2J\n"b',
    command: 'history',
    message: 'no certificate is named "a\\u001b[2J\\n\\"b": there are kubelet-client',
    remedy: 'certlet status',
  },
  {
    name: 'nothing at all is no name',
    settings: CLIENT,
    wanted: '',
    command: 'renew',
    message: /is named ""/,
    remedy: 'certlet status',
  },
] as const) {
  t.test(name, async (t) => {
    t.throws(() => managedPurposes(settings, wanted, [command, wanted, '--wait']), {
      code: 'ERR_USAGE',
      message,
      remedy,
    });
  });
}
