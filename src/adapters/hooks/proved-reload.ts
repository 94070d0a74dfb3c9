import type { Remedy } from '../../remedy.ts';
import { CertletError } from '../../errors.ts';
import type { Hook } from './hook.ts';
import type { HookRecord } from './hook-record.ts';
import type { Proof } from './proof.ts';

/** A reload that is followed by a look at what is served, for the certificates whose settings say where. One reload for each pair. */
export function provedReload(reload: Hook, proof: Proof, record: Pick<HookRecord, 'isAsked' | 'noteAsked'>): Hook {
  const addressOf = (event: Parameters<Hook['reasons']>[0]) => {
    const { served } = event.after;
    return served === 'kubelet' || reload.reasons(event).length === 0 ? undefined : served;
  };
  return {
    ...reload,
    lasting: (event) => addressOf(event) !== undefined,
    async run(event, attempt, done, signal) {
      const address = addressOf(event);
      if (address === undefined) return await reload.run(event, attempt, done, signal);
      if (!record.isAsked(event)) {
        await reload.run(event, attempt, done, signal);
        if (signal.aborted) return;
        await record.noteAsked(event);
      }
      const served = await proof.pairs.prove(event, address, 'restart', signal);
      if (served.kind !== 'stale') return proof.told(event, served);
      const where = `${address.host}:${String(address.port)}`;
      const message = `${where} serves the certificate with serial ${served.serial} to ${served.to} after its reload, too, and not the current one`;
      const remedy: Remedy = `systemctl cat certlet-reload@${event.after.reload ?? ''}.service   # restart the unit that it names, and see that it reads the files of ${event.purpose}`;
      throw proof.failed(event, new CertletError('ERR_HOOK', message, { remedy }));
    },
    async atStart(event, signal) {
      const address = addressOf(event);
      return address === undefined ? [] : await proof.atStart(event, address, signal);
    },
  };
}
