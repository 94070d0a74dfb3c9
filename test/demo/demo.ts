/**
 * `npm run demo`: the main job told as a story, on a throw-away cluster with the real daemon, in a folder that is gone afterwards. Ends by itself
 * within a minute or so: 0 only if all of it happened. `--fast` shortens every wait, for machines; `--keep` leaves the folder. With
 * `KUBEBUILDER_ASSETS` the cluster is a real control plane.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDemoCluster } from './demo-cluster.ts';
import { DemoNode } from './demo-node.ts';
import { Narrator } from './narrator.ts';
import { tellStory } from './story.ts';

const { values } = parseArgs({ options: { fast: { type: 'boolean' }, keep: { type: 'boolean' } } });
const fast = values.fast === true;
const lifetimeSeconds = fast ? 12 : 30;
const pace = fast ? { seconds: 20, outageSeconds: 2 } : { seconds: 50, outageSeconds: 10 };
const INTERRUPTED_STATUS = 130;
/** An output without a terminal, in a file or a pipe. */
const COLUMNS = 80;

const { stdout, env } = process;
const live = stdout.isTTY && env['TERM'] !== 'dumb';
const narrator = new Narrator({
  columns: stdout.isTTY ? Math.max(stdout.columns, 40) : COLUMNS,
  colour: live && (env['NO_COLOR'] ?? '') === '',
  live,
  write: (text) => void stdout.write(text),
  now: () => performance.now(),
});

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort());

const folder = mkdtempSync(join(tmpdir(), 'certlet-demo-'));
process.exitCode = await demo();

async function demo(): Promise<number> {
  let node: DemoNode | undefined;
  let close = async (): Promise<void> => undefined;
  try {
    const cluster = await openDemoCluster(lifetimeSeconds);
    close = () => cluster.close();
    stop.signal.throwIfAborted();
    node = new DemoNode(cluster, folder, { pace, signal: stop.signal });
    await tellStory(narrator, node);
    stdout.write(
      values.keep === true
        ? `\nEverything is left in ${folder}\n`
        : '\nAll of it is removed again (--keep leaves it).\n',
    );
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return INTERRUPTED_STATUS;
    const lines = [
      `\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`,
      ...(node?.lastLines ?? []),
    ];
    process.stderr.write(`${lines.join('\n')}\n`);
    return 1;
  } finally {
    await node?.stop();
    await close();
    if (values.keep !== true) rmSync(folder, { recursive: true, force: true });
  }
}
