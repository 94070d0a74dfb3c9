import { shellWord } from '../../remedy.ts';
import type { LookedUp } from '../../adapters/probe/name-lookup.ts';
import type { Connected } from '../../adapters/probe/tcp-connect.ts';
import { type Finding, finding, good } from '../finding.ts';

/** Where packets go: the API server, or the proxy before it. */
export interface Peer {
  readonly host: string;
  readonly port: number;
  /** For messages: `the API server`, `the proxy`. */
  readonly what: string;
}

/** A resolver that takes longer makes every start slow. */
const SLOW_LOOKUP_MS = 2_000;

const LOOKUP_WORDS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'nobody knows that name',
  EAI_AGAIN: 'the name server does not answer',
  ETIMEDOUT: 'no answer of the name server in time',
};

/** Name resolution of one peer. */
export function lookupFindings(peer: Peer, answer: LookedUp, weight: 'problem' | 'warning'): readonly Finding[] {
  const { host, what } = peer;
  if (answer.kind === 'failed') {
    const why = LOOKUP_WORDS[answer.code] ?? answer.code;
    return [
      finding(weight, 'network.name', `the name of ${what}, ${host}, does not resolve: ${why}`, {
        remedy: `getent hosts ${shellWord(host)}; cat /etc/resolv.conf   # or name an address in server`,
        evidence: { host, code: answer.code },
      }),
    ];
  }
  const { addresses, tookMs } = answer;
  if (addresses.length === 1 && addresses[0] === host) return [];
  if (tookMs > SLOW_LOOKUP_MS) {
    const told = `it took ${String(Math.round(tookMs / 1000))} s to resolve ${host}`;
    return [
      finding('warning', 'network.name-slow', told, {
        remedy: 'cat /etc/resolv.conf   # a name server in it does not answer',
        evidence: { host, addresses, tookMs },
      }),
    ];
  }
  return [good('network.name', `${host} resolves to ${addresses.join(', ')}`, { host, addresses })];
}

const CONNECT_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ECONNRESET: 'the connection was reset',
};

/** TCP connections to each address of one peer. */
export function connectFindings(
  peer: Peer,
  tries: readonly Connected[],
  weight: 'problem' | 'warning',
): readonly Finding[] {
  const { host, port, what } = peer;
  const open = tries.filter(({ kind }) => kind === 'open').map(({ address }) => address);
  const failed = tries.flatMap((one) =>
    one.kind === 'failed' ? [`${one.address} (${CONNECT_WORDS[one.code] ?? one.code})`] : [],
  );
  const evidence = { host, port, open, failed };
  const where = `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
  if (open.length === 0) {
    return [
      finding(weight, 'network.connect', `no TCP connection to ${what} at ${where}: ${failed.join(', ')}`, {
        remedy: `nc -vz ${shellWord(host)} ${String(port)}; ip route get ${shellWord(tries[0]?.address ?? host)}   # then firewall, and whether it runs`,
        evidence,
      }),
    ];
  }
  if (failed.length > 0) {
    const told = `some addresses of ${what} at ${where} cannot be reached: ${failed.join(', ')}`;
    return [finding('warning', 'network.connect-some', told, { evidence })];
  }
  return [good('network.connect', `${what} accepts TCP connections at ${where}`, evidence)];
}
