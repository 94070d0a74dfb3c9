/** Which hooks a change of a kubeconfig is for: the reload of its certificate, and nothing else. */
import t from 'tap';
import { commandHook } from '../../../src/adapters/hooks/command-hook.ts';
import { HookRecord } from '../../../src/adapters/hooks/hook-record.ts';
import { provedReload } from '../../../src/adapters/hooks/proved-reload.ts';
import type { Proof } from '../../../src/adapters/hooks/proof.ts';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { privilegedHook, reloadHook } from '../../../src/adapters/systemd/flag-hook.ts';
import { hookEvent, ManualClock, RecordingLogger } from './hook-fakes.ts';

const host = { fs: new NodeFileSystem(), clock: new ManualClock(), runtimeDir: '/nonexistent' };
const command = { name: 'c', command: ['/bin/true'], on: ['client'], timeoutMs: 1 };
const record = new HookRecord(new NodeFileSystem(), '/nonexistent');

for (const { name, hook, afterRotation, afterKubeconfig } of [
  { name: 'its reload', hook: reloadHook(host, 'r'), afterRotation: 1, afterKubeconfig: 1 },
  {
    name: 'its reload that is followed by a look',
    hook: provedReload(reloadHook(host, 'r'), {} as Proof, record),
    afterRotation: 1,
    afterKubeconfig: 1,
  },
  { name: 'the reload of another', hook: reloadHook(host, 'other'), afterRotation: 0, afterKubeconfig: 0 },
  { name: 'a command', hook: commandHook(command, new RecordingLogger()), afterRotation: 1, afterKubeconfig: 0 },
  { name: 'a privileged hook', hook: privilegedHook(host, 'p'), afterRotation: 1, afterKubeconfig: 0 },
]) {
  t.test(`a kubeconfig that changed: ${name}`, async (t) => {
    const event = { ...hookEvent(), after: { reload: 'r' } };
    t.equal(hook.reasons(event).length, afterRotation);
    t.equal(hook.reasons({ ...event, cause: 'kubeconfig' }).length, afterKubeconfig);
  });
}
