import type { Narrator } from './narrator.ts';

/** A pair that has become current. */
export interface Pair {
  /** Its name in the cert-dir. */
  readonly file: string;
  readonly serial: string;
  readonly expires: string;
}

/** What the story tells of, as it happens. Every method settles when that has happened and rejects when it does not. */
export interface Stage {
  /** `a fake API server`, `a real control plane`. */
  readonly cluster: string;
  readonly nodeName: string;
  /** About how long it takes. */
  readonly seconds: number;
  readonly outageSeconds: number;
  /** Starts certlet; settles when the stand-in for the serving pair is there. */
  begin(): Promise<void>;
  requested(purpose: Purpose): Promise<{ readonly csr: string }>;
  current(purpose: Purpose): Promise<Pair>;
  /** Settles when the kubeconfig is written, with its lines that matter. */
  kubeconfig(): Promise<readonly string[]>;
  approveServing(csr: string): Promise<void>;
  /** From now on serving requests are approved without a person. */
  approveFurther(): void;
  /** The next rotation of the client certificate; `tick` is called until then with what is left. */
  rotated(tick: (leftMs: number) => void): Promise<Pair>;
  listing(): readonly string[];
  stopApiServer(): Promise<void>;
  /** Asks for a new certificate while nobody answers; settles when that has failed. */
  renewInVain(): Promise<{ readonly code: string }>;
  /** Settles after the outage, which `tick` counts down. */
  outage(tick: (leftMs: number) => void): Promise<void>;
  startApiServer(): Promise<void>;
  /** Resolves when every certificate is good again; `tick` is told how long it is until the next try. */
  caughtUp(tick: (leftMs: number) => void): Promise<void>;
  /** Ends certlet in order, and tells what it leaves. */
  end(): Promise<readonly Left[]>;
}

export type Purpose = 'client' | 'serving';

/** One thing that certlet has made. */
export interface Left {
  readonly what: string;
  readonly where: string;
  readonly until: string;
}

/** Forty-three characters of a digest tell nobody anything. */
const short = (csr: string): string => (csr.length > 16 ? `${csr.slice(0, 15)}…` : csr);

/** The main job of certlet, told to its end. Rejects where something did not happen. */
export async function tellStory(narrator: Narrator, stage: Stage): Promise<void> {
  narrator.title(
    'certlet: the certificates of a Kubernetes node',
    `Shown on ${stage.cluster}, with certificates of seconds in place of a year. Takes about ${String(stage.seconds)} s.`,
  );
  await beginning(narrator, stage);
  await pairAndKubeconfig(narrator, stage);
  await rotation(narrator, stage);
  await trouble(narrator, stage);
  await ending(narrator, stage);
}

async function beginning(narrator: Narrator, stage: Stage): Promise<void> {
  narrator.chapter(
    'A node without certificates',
    `All that ${stage.nodeName} has is a bootstrap kubeconfig: the API server's address, its CA and a token. certlet starts.`,
  );
  await stage.begin();
  narrator.event('a self-signed serving pair stands in, so that a kubelet can start meanwhile');
  narrator.chapter(
    'The request, and who approves it',
    'The key never leaves the node: what is sent is a certificate signing request.',
  );
  const client = await stage.requested('client');
  narrator.event(`client certificate asked for with the bootstrap token: ${short(client.csr)}`);
  await stage.current('client');
  narrator.event('approved and signed by kube-controller-manager, which may do that for nodes');
  const serving = await stage.requested('serving');
  narrator.event(`serving certificate asked for as system:node:${stage.nodeName}: ${short(serving.csr)}`);
  narrator.remark('Nothing in Kubernetes approves these. A person does, or an approver of your own:');
  narrator.command(`kubectl certificate approve ${short(serving.csr)}`);
  await stage.approveServing(serving.csr);
  await stage.current('serving');
  narrator.event('approved, signed, and in place of the stand-in');
  stage.approveFurther();
}

async function pairAndKubeconfig(narrator: Narrator, stage: Stage): Promise<void> {
  narrator.chapter(
    'The pair and its link',
    'Certificate and key are one file. A link names the pair in use; it is swapped in one step, so nobody ever reads half of it.',
  );
  narrator.lines(stage.listing());
  narrator.chapter(
    'The kubeconfig',
    'What a kubelet starts on. It names the link, so it stays as it is over all rotations.',
  );
  narrator.lines(await stage.kubeconfig());
}

async function rotation(narrator: Narrator, stage: Stage): Promise<void> {
  narrator.chapter(
    'Rotation',
    'At 70 to 90 % of its life a certificate gets its successor, asked for with the certificate itself. The token is needed no more.',
  );
  const pair = await stage.rotated((leftMs) => narrator.countdown('the client certificate is due', leftMs));
  narrator.countdownOver();
  narrator.event(`the link names ${pair.file}, serial ${pair.serial.slice(-8)}, until ${pair.expires}`);
}

async function trouble(narrator: Narrator, stage: Stage): Promise<void> {
  narrator.chapter(
    `Trouble: the API server is away for ${String(stage.outageSeconds)} seconds`,
    'Somebody asks for a new certificate just then.',
  );
  await stage.stopApiServer();
  narrator.event('the API server is gone');
  narrator.command('certlet renew client');
  const { code } = await stage.renewInVain();
  narrator.event(`cannot ask (${code}); the certificate in hand stays in use, and certlet tries again by itself`);
  await stage.outage((leftMs) => narrator.countdown('the API server is back', leftMs));
  narrator.countdownOver();
  await stage.startApiServer();
  narrator.event('the API server is back');
  await stage.caughtUp((leftMs) => narrator.countdown('certlet tries again', leftMs));
  narrator.countdownOver();
  const pair = await stage.current('client');
  narrator.event(`and the node has its new certificate: ${pair.file}`);
}

async function ending(narrator: Narrator, stage: Stage): Promise<void> {
  const left = await stage.end();
  narrator.chapter('The end: what is where');
  narrator.table([
    { title: 'WHAT', cells: left.map(({ what }) => ({ text: what })) },
    { title: 'UNTIL', cells: left.map(({ until }) => ({ text: until })), dispensable: 1 },
    { title: 'WHERE', cells: left.map(({ where }) => ({ text: where })) },
  ]);
}
