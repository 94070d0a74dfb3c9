import { storeOnDisk } from '../../disk-pairs.ts';
import { CertletError, EXIT } from '../../errors.ts';
import { type HistoryStatus, historyStatus, historyText } from '../../status/history.ts';
import type { RecordView, StoreView } from '../../adapters/probe/store-view.ts';
import { ANSWER_VERSION, encodeAnswer } from '../answer.ts';
import type { HistoryArguments } from '../command.ts';
import { columnsOf, type CommandContext, showsColour } from '../command-context.ts';
import { typedLine } from '../carried.ts';
import { managedPurposes } from '../managed-purposes.ts';

/**
 * `certlet history`: what earlier requests came to, from the records of the state folder, with and without a daemon. Changes nothing. Throws
 * `ERR_STORE_IO` where a record cannot be read.
 */
export async function runHistory(context: CommandContext, args: HistoryArguments): Promise<number> {
  const { edge, print, printPainted } = context;
  const settings = await context.loadSettings();
  const purposes = managedPurposes(settings, args.certificate, edge.argv);
  const view = storeOnDisk(settings, edge.userId);
  const certificates = await Promise.all(purposes.map(async (purpose) => historyOf(view, purpose, edge.argv)));
  if (args.output !== 'text') {
    print(encodeAnswer({ version: ANSWER_VERSION, node: settings.nodeName, certificates }, args.output));
    return EXIT.ok;
  }
  const { stdout, environment } = edge;
  printPainted(historyText(certificates, { colour: showsColour(stdout, environment), columns: columnsOf(stdout) }));
  return EXIT.ok;
}

async function historyOf(view: StoreView, purpose: string, argv: readonly string[]): Promise<HistoryStatus> {
  const history = recordOf(await view.history(purpose), argv) ?? {};
  return historyStatus({ purpose, history, pending: recordOf(await view.pending(purpose), argv) });
}

function recordOf<T>(view: RecordView<T>, argv: readonly string[]): T | undefined {
  switch (view.kind) {
    case 'read':
      return view.value;
    case 'absent':
      return undefined;
    case 'unreadable':
      // The system's error is the direct cause, by which the exit code is told.
      throw new CertletError('ERR_STORE_IO', view.reason, {
        remedy: `sudo ${typedLine(argv)}`,
        cause: view.error.cause,
      });
    case 'broken':
      throw new CertletError('ERR_STORE_IO', `${view.path}: ${view.reason}`, {
        // A start sets it aside.
        remedy: 'systemctl restart certlet',
        cause: view.error,
      });
  }
}
