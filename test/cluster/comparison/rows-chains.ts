/** Chains of server certificates, and what a change of the cluster's CA makes of them. */
import {
  alternativeNames,
  authority,
  authorityBySerial,
  authorityKeyId,
  identifierOf,
  keyUsage,
  noAuthority,
  subjectKeyId,
} from './extensions.ts';
import { makeCa, makeServer, SERVER_NAMES } from './materials.ts';
import { ecKey, mint } from './mint.ts';
import type { Minted } from './mint.ts';
import type { Row } from './row.ts';
import { certificateRow } from './certificate-row.ts';

const names = alternativeNames(SERVER_NAMES);
const between = (issuer: Minted, subject = 'between', pathLength?: number): Minted =>
  mint({ subject, issuer, extensions: [keyUsage('keyCertSign'), authority(pathLength)] });

function chainRows(): readonly Row[] {
  const kind = 'chain';
  const row = (name: string, make: Parameters<typeof certificateRow>[2]): Row => certificateRow(kind, name, make);
  const through = (name: string, make: (ca: Minted) => Minted): Row =>
    row(name, ({ ca }) => {
      const middle = make(ca);
      return { leaf: makeServer(middle), chain: [middle], trusted: [ca] };
    });
  return [
    row('by the CA', ({ ca }) => ({ leaf: makeServer(ca), trusted: [ca] })),
    row('by another CA', ({ ca, otherCa }) => ({ leaf: makeServer(otherCa), trusted: [ca] })),
    row('by the CA, one among many', ({ ca, otherCa, hostCa }) => ({
      leaf: makeServer(ca),
      trusted: [otherCa, hostCa, ca],
    })),
    through('through an intermediate', (ca) => between(ca)),
    row('the intermediate is missing', ({ ca }) => ({ leaf: makeServer(between(ca)), trusted: [ca] })),
    row('the intermediate is among the trusted', ({ ca }) => {
      const middle = between(ca);
      return { leaf: makeServer(middle), trusted: [ca, middle] };
    }),
    row('the intermediate alone is trusted', ({ ca }) => {
      const middle = between(ca);
      return { leaf: makeServer(middle), chain: [middle], trusted: [middle] };
    }),
    row('the intermediate alone is trusted and not sent', ({ ca }) => {
      const middle = between(ca);
      return { leaf: makeServer(middle), trusted: [middle] };
    }),
    row('the leaf itself is trusted', ({ ca }) => {
      const leaf = makeServer(ca);
      return { leaf, trusted: [leaf] };
    }),
    row('a self-signed leaf is trusted', () => {
      const leaf = mint({ subject: 'kube-apiserver', extensions: [names, noAuthority] });
      return { leaf, trusted: [leaf] };
    }),
    row('a self-signed leaf without constraints is trusted', () => {
      const leaf = mint({ subject: 'kube-apiserver', extensions: [names] });
      return { leaf, trusted: [leaf] };
    }),
    row('a self-signed leaf is not trusted', ({ ca }) => ({
      leaf: mint({ subject: 'kube-apiserver', extensions: [names] }),
      trusted: [ca],
    })),
    row('the CA itself serves', () => {
      const ca = mint({ subject: 'k', extensions: [names, authority()] });
      return { leaf: ca, trusted: [ca] };
    }),
    row('the CA is appended', ({ ca }) => ({ leaf: makeServer(ca), chain: [ca], trusted: [ca] })),
    row('the leaf is appended twice', ({ ca }) => {
      const leaf = makeServer(ca);
      return { leaf, chain: [leaf, leaf], trusted: [ca] };
    }),
    row('another CA is appended', ({ ca, otherCa }) => ({ leaf: makeServer(ca), chain: [otherCa], trusted: [ca] })),
    row('in the wrong order', ({ ca }) => {
      const one = between(ca, 'one');
      const two = between(one, 'two');
      return { leaf: makeServer(two), chain: [one, two], trusted: [ca] };
    }),
    row('six deep', ({ ca }) => {
      const middles: Minted[] = [];
      for (let depth = 0; depth < 6; depth += 1) middles.unshift(between(middles[0] ?? ca, `m${String(depth)}`));
      return { leaf: makeServer(middles[0] ?? ca), chain: middles, trusted: [ca] };
    }),
    row('path length 0 and an intermediate', () => {
      const ca = mint({ subject: 'k', extensions: [authority(0)] });
      const middle = between(ca);
      return { leaf: makeServer(middle), chain: [middle], trusted: [ca] };
    }),
    row('path length 0 and none', () => {
      const ca = mint({ subject: 'k', extensions: [authority(0)] });
      return { leaf: makeServer(ca), trusted: [ca] };
    }),
    through('an intermediate with path length 0', (ca) => between(ca, 'between', 0)),
    through('an intermediate that is no authority', (ca) =>
      mint({ subject: 'between', issuer: ca, extensions: [noAuthority] }),
    ),
    through('an intermediate without constraints', (ca) => mint({ subject: 'between', issuer: ca, extensions: [] })),
    through('an intermediate that may not sign', (ca) =>
      mint({ subject: 'between', issuer: ca, extensions: [authority(), keyUsage('digitalSignature')] }),
    ),
    through('an intermediate of version 1', (ca) => mint({ subject: 'between', issuer: ca, version1: true })),
    row('a node certificate as issuer', ({ ca }) => {
      const node = mint({
        subject: 'system:node:n1',
        issuer: ca,
        extensions: [keyUsage('digitalSignature'), noAuthority],
      });
      return { leaf: makeServer(node), chain: [node], trusted: [ca] };
    }),
    row('a CA of version 1', () => {
      const ca = mint({ subject: 'k', version1: true });
      return { leaf: makeServer(ca), trusted: [ca] };
    }),
    row('a CA without constraints', () => {
      const ca = mint({ subject: 'k', extensions: [] });
      return { leaf: makeServer(ca), trusted: [ca] };
    }),
    row('a CA that says it is none', () => {
      const ca = mint({ subject: 'k', extensions: [noAuthority] });
      return { leaf: makeServer(ca), trusted: [ca] };
    }),
    row('a CA that may not sign', () => {
      const ca = mint({ subject: 'k', extensions: [authority(), keyUsage('digitalSignature')] });
      return { leaf: makeServer(ca), trusted: [ca] };
    }),
  ];
}

/** Leaves as openssl makes them by hand: no key identifiers. */
const plain = (issuer: Minted): Minted => mint({ subject: 'kube-apiserver', issuer, extensions: [names, noAuthority] });
const plainCa = (more: Partial<Parameters<typeof mint>[0]> = {}): Minted =>
  mint({ subject: 'kubernetes', extensions: [authority(), keyUsage('keyCertSign')], ...more });

function changeRows(): readonly Row[] {
  const kind = 'change of CA';
  const row = (name: string, make: Parameters<typeof certificateRow>[2]): Row => certificateRow(kind, name, make);
  return [
    row('two of one name, the second signed', () => {
      const [one, two] = [plainCa(), plainCa()];
      return { leaf: plain(two), trusted: [one, two] };
    }),
    row('two of one name, the first signed', () => {
      const [one, two] = [plainCa(), plainCa()];
      return { leaf: plain(one), trusted: [one, two] };
    }),
    row('two of one name, neither signed', () => ({ leaf: plain(plainCa()), trusted: [plainCa(), plainCa()] })),
    row('ten of one name, the last signed', () => {
      const all = Array.from({ length: 10 }, () => plainCa());
      return { leaf: plain(all[9] ?? plainCa()), trusted: all };
    }),
    row('two of one name with identifiers, the second signed', () => {
      const [one, two] = [makeCa('kubernetes'), makeCa('kubernetes')];
      return { leaf: makeServer(two), trusted: [one, two] };
    }),
    row('two of one name with identifiers, a leaf without', () => {
      const [one, two] = [makeCa('kubernetes'), makeCa('kubernetes')];
      return { leaf: plain(two), trusted: [one, two] };
    }),
    row('two of one name, through an intermediate', () => {
      const [one, two] = [plainCa(), plainCa()];
      const middle = mint({ subject: 'between', issuer: two, extensions: [authority()] });
      return { leaf: plain(middle), chain: [middle], trusted: [one, two] };
    }),
    row('two of one name, the old one is sent along', () => {
      const [one, two] = [plainCa(), plainCa()];
      return { leaf: plain(two), chain: [one], trusted: [two] };
    }),
    row('renewed with the same key', () => {
      const key = ecKey();
      return { leaf: makeServer(makeCa('kubernetes', { key })), trusted: [makeCa('kubernetes', { key })] };
    }),
    row('renewed with the same key, leaf names the old serial', () => {
      const key = ecKey();
      const leaf = mint({
        subject: 'kube-apiserver',
        issuer: plainCa({ key }),
        extensions: [names, authorityBySerial(plainCa({ key }).subjectDer, 77n)],
      });
      return { leaf, trusted: [plainCa({ key })] };
    }),
    row('renewed with the same key and another identifier', () => {
      const key = ecKey();
      const renewed = mint({
        subject: 'kubernetes',
        key,
        extensions: [authority(), subjectKeyId(Buffer.from('0102', 'hex'))],
      });
      return {
        leaf: mint({
          subject: 'kube-apiserver',
          issuer: plainCa({ key }),
          extensions: [names, authorityKeyId(identifierOf(key))],
        }),
        trusted: [renewed],
      };
    }),
    row('renewed with the same key under another name', () => {
      const key = ecKey();
      return { leaf: plain(plainCa({ key })), trusted: [mint({ subject: 'other', key, extensions: [authority()] })] };
    }),
    row('renewed with another key under the same name', () => ({ leaf: plain(plainCa()), trusted: [plainCa()] })),
    row('cross-signed by the old one', () => {
      const [old, key] = [makeCa('old'), ecKey()];
      const cross = makeCa('new', { key, issuer: old });
      return { leaf: makeServer(makeCa('new', { key })), chain: [cross], trusted: [old] };
    }),
    row('cross-signed, the old one is gone', () => {
      const [old, key] = [makeCa('old'), ecKey()];
      const fresh = makeCa('new', { key });
      return { leaf: makeServer(fresh), chain: [makeCa('new', { key, issuer: old })], trusted: [fresh] };
    }),
    row('a name in another encoding', () => {
      const printable = Buffer.from('3015311330110603550403130a6b756265726e65746573', 'hex');
      const ca = plainCa();
      return {
        leaf: mint({ subject: 'kube-apiserver', issuer: ca, issuerName: printable, extensions: [names] }),
        trusted: [ca],
      };
    }),
    row('a name in other case', () => {
      const ca = plainCa();
      const shouted = mint({ subject: 'KUBERNETES', key: ca.key }).subjectDer;
      return {
        leaf: mint({ subject: 'kube-apiserver', issuer: ca, issuerName: shouted, extensions: [names] }),
        trusted: [ca],
      };
    }),
  ];
}

/** All of this file. */
export function chainsRows(): readonly Row[] {
  return [...chainRows(), ...changeRows()];
}
