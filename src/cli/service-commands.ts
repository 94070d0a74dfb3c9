import type { CommandSpec } from './command-spec.ts';
import { type FlagSpec, OUTPUT, TIMEOUT } from './flags.ts';

const EVERY: FlagSpec = {
  name: 'every',
  kind: 'duration',
  value: 'TIME',
  summary: 'It runs again after this time, by a timer.',
};

const IF_EXPIRING: FlagSpec = {
  name: 'if-expiring',
  kind: 'duration',
  value: 'TIME',
  summary: 'Renew only what ends within this time, such as 7d, in place of what is due.',
};

/** The daemon. */
export const RUN: CommandSpec = {
  name: 'run',
  summary: 'Keep the certificates of this node fresh; the daemon.',
  description: [
    'Takes the node from a bootstrap kubeconfig to a client and a serving certificate, writes the kubeconfig of the kubelet, and renews both before they expire. Goes on trying in every state and says what it waits for.',
    'SIGHUP reads the settings again; SIGTERM and SIGINT end it.',
  ],
  flags: [],
  settings: true,
  exits: [],
  examples: ['certlet run', 'certlet run --node-ip 192.0.2.7,2001:db8::7 --log-level debug'],
};

/** What its timer runs. */
export const ONCE: CommandSpec = {
  name: 'once',
  summary: 'Bring everything up to date, then end.',
  description: [
    'For timers, images and units ordered before the kubelet. What is not done within the time given is resumed by the next run.',
    'With --every what falls due before the next run is renewed now; certificates that live too short for such runs are named.',
    'With --if-expiring a certificate is left alone until so little of it is left, and in the first half of what it had left when it came; one that is missing, or whose names have changed, is asked for all the same.',
    'With --output json the answer is the document of certlet status, also where the time was too short.',
  ],
  flags: [OUTPUT, TIMEOUT, EVERY, IF_EXPIRING],
  settings: true,
  exits: [[75, 'waiting for approval, API server unreachable or credential refused until the timeout']],
  examples: ['certlet once --timeout 2m', 'certlet once --every 1h', 'certlet once --if-expiring 7d'],
};
