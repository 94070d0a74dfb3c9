import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { Readable } from 'node:stream';
import { errnoOf } from '../file-errors.ts';
import { signalGroup } from '../process-group.ts';

export interface PluginCall {
  /** Absolute path. No shell reads it or the arguments. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface PluginLimits {
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** How a plugin ended; `failed` holds what the system said. */
export type PluginEnd =
  | { readonly kind: 'exited'; readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'killed'; readonly signal: string; readonly stderr: string }
  | { readonly kind: 'timedOut' | 'tooLong'; readonly stderr: string }
  | { readonly kind: 'failed'; readonly code: string | undefined };

/**
 * Runs a program to its end in a process group of its own, without input. At a limit the whole group is killed: plugins are often
 * scripts, and what they started would stay for ever. Rejects with the signal's reason once it aborts.
 */
export async function runPluginProcess(call: PluginCall, limits: PluginLimits): Promise<PluginEnd> {
  const { signal, timeoutMs, maxBytes } = limits;
  signal.throwIfAborted();
  const child = start(call);
  if ('kind' in child) return child;
  let limit: 'timedOut' | 'tooLong' | undefined;
  const kill = (): void => {
    signalGroup(child, 'SIGKILL');
    // What left the group may hold the other end open; it is not waited for.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const reach = (which: 'timedOut' | 'tooLong'): void => {
    limit ??= which;
    kill();
  };
  const stdout = collect(child.stdout, maxBytes, () => reach('tooLong'));
  const stderr = collect(child.stderr, maxBytes, () => reach('tooLong'));
  const timer = setTimeout(() => reach('timedOut'), timeoutMs);
  signal.addEventListener('abort', kill, { once: true });
  // A plugin that asks a question gets an end of file instead of waiting for its time limit.
  child.stdin.on('error', () => undefined).end();
  const end = await new Promise<PluginEnd>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => resolve({ kind: 'failed', code: error.code }));
    child.once('close', (code, endedBy) => {
      if (limit !== undefined) resolve({ kind: limit, stderr: stderr() });
      else if (code === null) resolve({ kind: 'killed', signal: endedBy ?? 'a signal', stderr: stderr() });
      else resolve({ kind: 'exited', code, stdout: stdout(), stderr: stderr() });
    });
  });
  clearTimeout(timer);
  signal.removeEventListener('abort', kill);
  signal.throwIfAborted();
  return end;
}

/** Node throws where the system takes no such arguments and variables, with words that quote them, and tells all else by an event. */
function start({ command, args, env }: PluginCall): ChildProcessWithoutNullStreams | PluginEnd {
  try {
    return spawn(command, [...args], { env: { ...env }, detached: true, stdio: 'pipe' });
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    return { kind: 'failed', code };
  }
}

/** The text so far, on request. */
function collect(stream: Readable, maxBytes: number, onTooLong: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) onTooLong();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
