/** Server certificates and the CAs that are given to verify them with. */
import { certificateRow as row } from './certificate-row.ts';
import type { Fields } from './config-text.ts';
import {
  alternativeNames,
  authority,
  authorityBySerial,
  authorityKeyId,
  extension,
  identifierOf,
  keyUsage,
  nameConstraints,
  netscapeType,
  noAuthority,
  purposes,
  subjectKeyId,
  unknownExtension,
} from './extensions.ts';
import type { Names } from './extensions.ts';
import { makeCa, makeServer, SERVER_NAMES } from './materials.ts';
import type { Materials } from './materials.ts';
import { days, ecKey, edKey, mint, rsaKey } from './mint.ts';
import type { CertificateSpec, Minted } from './mint.ts';
import type { Row, Served } from './row.ts';

/** A leaf by the cluster's CA whose only oddity is in its specification. */
const leafRow = (
  kind: string,
  name: string,
  spec: (materials: Materials) => Partial<CertificateSpec>,
  cluster?: Fields,
): Row =>
  row(
    kind,
    name,
    (materials) => ({ leaf: makeServer(materials.ca, spec(materials)), trusted: [materials.ca] }),
    cluster,
  );

const names = alternativeNames(SERVER_NAMES);

function nameRows(): readonly Row[] {
  const kind = 'names';
  const named = (name: string, given: Names, wanted?: string): Row =>
    leafRow(
      kind,
      name,
      () => ({ extensions: [noAuthority, alternativeNames(given)] }),
      wanted === undefined ? {} : { 'tls-server-name': wanted },
    );
  return [
    named('an address', { ip: ['127.0.0.1'] }),
    named('another address', { ip: ['127.0.0.2'] }),
    named('an address as DNS name', { dns: ['127.0.0.1'] }),
    named('an address as URI', { uri: ['https://127.0.0.1'] }),
    named('a mapped address of 16 bytes', { ip: [Buffer.from('00000000000000000000ffff7f000001', 'hex')] }),
    named('an address of 5 bytes', { ip: [Buffer.from('7f00000100', 'hex')] }),
    named('a broken address beside the right one', { ip: [Buffer.from('7f', 'hex'), '127.0.0.1'] }),
    named('a name', { dns: ['api.test'] }, 'api.test'),
    named('another name', { dns: ['api.test'] }, 'other.test'),
    named('a name in capitals', { dns: ['API.test'] }, 'api.test'),
    named('a name with trailing dot', { dns: ['api.test.'] }, 'api.test'),
    named('a name with an underscore', { dns: ['api_1.test'] }, 'api_1.test'),
    named('a name with a blank', { dns: ['api test'] }, 'api.test'),
    named('an empty name beside the right one', { dns: ['', 'api.test'] }, 'api.test'),
    named('a name with a NUL', { dns: ['api.test\0.evil.test'] }, 'api.test'),
    named('a name beyond ASCII beside the right one', { dns: ['äpi.test', 'api.test'] }, 'api.test'),
    named('a wildcard', { dns: ['*.test'] }, 'api.test'),
    named('a wildcard for two levels', { dns: ['*.test'] }, 'a.api.test'),
    named('a wildcard for none', { dns: ['*.test'] }, 'test'),
    named('a wildcard that is part of a label', { dns: ['a*.test'] }, 'api.test'),
    named('a wildcard in the middle', { dns: ['api.*.test'] }, 'api.a.test'),
    named('a wildcard alone', { dns: ['*'] }, 'test'),
    named('two wildcards', { dns: ['*.*.test'] }, 'a.b.test'),
    named('an e-mail address alone', { email: ['a@127.0.0.1'] }),
    leafRow(kind, 'common name alone, a name', () => ({ subject: 'api.test', extensions: [noAuthority] }), {
      'tls-server-name': 'api.test',
    }),
    leafRow(kind, 'common name alone, an address', () => ({ subject: '127.0.0.1', extensions: [noAuthority] })),
    leafRow(
      kind,
      'common name right, alternative names wrong',
      () => ({ subject: 'api.test', extensions: [noAuthority, alternativeNames({ dns: ['b.test'] })] }),
      { 'tls-server-name': 'api.test' },
    ),
    leafRow(
      kind,
      'common name right, alternative names empty',
      () => ({ subject: 'api.test', extensions: [noAuthority, alternativeNames({})] }),
      { 'tls-server-name': 'api.test' },
    ),
    leafRow(kind, 'no subject', () => ({
      subject: Buffer.from([0x30, 0]),
      extensions: [alternativeNames(SERVER_NAMES, true)],
    })),
    leafRow(kind, 'no subject, names not critical', () => ({ subject: Buffer.from([0x30, 0]), extensions: [names] })),
  ];
}

function purposeRows(): readonly Row[] {
  const kind = 'purpose';
  const with_ = (name: string, ...extensions: readonly Buffer[]): Row =>
    leafRow(kind, name, () => ({ extensions: [...extensions, names] }));
  return [
    with_('none at all'),
    with_('for servers', purposes('serverAuth')),
    with_('for clients', purposes('clientAuth')),
    with_('for both', purposes('clientAuth', 'serverAuth')),
    with_('for anything', purposes('any')),
    with_('for clients and anything', purposes('clientAuth', 'any')),
    with_('for signing code', purposes('codeSigning')),
    with_('for something unknown', purposes('unknown')),
    with_('for something unknown and for servers', purposes('unknown', 'serverAuth')),
    with_('Netscape step-up', purposes('netscape')),
    with_('no purposes in the list', purposes()),
    with_('Netscape type client', netscapeType(0x80)),
    with_('Netscape type server', netscapeType(0x40)),
    with_('Netscape type object signing', netscapeType(0x10)),
    with_('usage digital signature', keyUsage('digitalSignature')),
    with_('usage key encipherment', keyUsage('keyEncipherment')),
    with_('usage non-repudiation', keyUsage('nonRepudiation')),
    with_('usage data encipherment', keyUsage('dataEncipherment')),
    with_('usage key agreement', keyUsage('keyAgreement')),
    with_('usage certificate signing', keyUsage('keyCertSign')),
    with_('usage none', keyUsage()),
    with_('an authority', authority(), keyUsage('digitalSignature', 'keyCertSign')),
    with_('an authority for clients', authority(), purposes('clientAuth')),
    row(kind, 'a CA for clients', () => {
      const key = ecKey();
      const ca = mint({ subject: 'k', key, extensions: [authority(), purposes('clientAuth')] });
      return { leaf: makeServer(ca), trusted: [ca] };
    }),
    row(kind, 'a CA for anything', () => {
      const ca = mint({ subject: 'k', extensions: [authority(), purposes('any')] });
      return { leaf: makeServer(ca), trusted: [ca] };
    }),
    row(kind, 'an intermediate for clients', ({ ca }) => {
      const between = mint({ subject: 'between', issuer: ca, extensions: [authority(), purposes('clientAuth')] });
      return { leaf: makeServer(between), chain: [between], trusted: [ca] };
    }),
  ];
}

function dateRows(): readonly Row[] {
  const kind = 'dates';
  const leaf = (name: string, notBefore: number, notAfter: number): Row =>
    leafRow(kind, name, () => ({ notBefore: days(notBefore), notAfter: days(notAfter) }));
  const withCa = (name: string, notBefore: number, notAfter: number): Row =>
    row(kind, name, () => {
      const ca = makeCa('k', { notBefore: days(notBefore), notAfter: days(notAfter) });
      return { leaf: makeServer(ca), trusted: [ca] };
    });
  const between = (name: string, notBefore: number, notAfter: number): Row =>
    row(kind, name, ({ ca }) => {
      const middle = makeCa('between', { issuer: ca, notBefore: days(notBefore), notAfter: days(notAfter) });
      return { leaf: makeServer(middle), chain: [middle], trusted: [ca] };
    });
  return [
    leaf('valid', -1, 1),
    leaf('expired', -9, -1),
    leaf('not yet valid', 1, 9),
    leaf('ends before it begins', 1, -1),
    leafRow(kind, 'until 9999', () => ({ notAfter: new Date('9999-12-31T23:59:59Z') })),
    leafRow(kind, 'from 1950', () => ({ notBefore: new Date('1950-01-01T00:00:00Z') })),
    withCa('a CA that has expired', -9, -1),
    withCa('a CA that is not yet valid', 1, 9),
    between('an intermediate that is valid', -1, 1),
    between('an intermediate that has expired', -9, -1),
    row(kind, 'an expired CA and its successor with the same key', () => {
      const key = ecKey();
      const old = makeCa('k', { key, notBefore: days(-9), notAfter: days(-1) });
      return { leaf: makeServer(old), trusted: [old, makeCa('k', { key })] };
    }),
    row(kind, 'an expired CA and its successor with another key', () => {
      const old = makeCa('k', { notBefore: days(-9), notAfter: days(-1) });
      return { leaf: makeServer(old), trusted: [old, makeCa('k')] };
    }),
  ];
}

function constraintRows(): readonly Row[] {
  const kind = 'constraints';
  const address = (hex: string): Names => ({ ip: [Buffer.from(hex, 'hex')] });
  const constrained = (name: string, permitted?: Names, excluded?: Names, critical = true): Row =>
    row(kind, name, () => {
      const key = ecKey();
      const ca = mint({ subject: 'k', key, extensions: [authority(), nameConstraints(permitted, excluded, critical)] });
      return {
        leaf: makeServer(ca, { extensions: [alternativeNames({ ip: ['127.0.0.1'], dns: ['api.test'] })] }),
        trusted: [ca],
      };
    });
  const extended = (name: string, where: 'leaf' | 'CA', critical: boolean): Row =>
    row(kind, name, () => {
      const extra = [unknownExtension(critical)];
      const ca = mint({ subject: 'k', extensions: [authority(), ...(where === 'CA' ? extra : [])] });
      return { leaf: makeServer(ca, { extensions: [names, ...(where === 'leaf' ? extra : [])] }), trusted: [ca] };
    });
  return [
    constrained('the address is permitted', address('7f000000ff000000')),
    constrained('the address is not permitted', address('0a000000ff000000')),
    constrained('the address is excluded', undefined, address('7f000000ff000000')),
    constrained('another address is excluded', undefined, address('0a000000ff000000')),
    constrained('the name is permitted', { dns: ['test'] }),
    constrained('the name is not permitted', { dns: ['other'] }),
    constrained('the name is excluded', undefined, { dns: ['api.test'] }),
    constrained('another name is excluded', undefined, { dns: ['b.test'] }),
    constrained('the name is not permitted, not critical', { dns: ['other'] }, undefined, false),
    constrained('the name is permitted with a leading dot', { dns: ['.test'] }),
    constrained('e-mail addresses are constrained', { email: ['a.test'] }),
    constrained('a broken mask', address('7f000000ff00ff00')),
    extended('an unknown extension in the leaf', 'leaf', false),
    extended('an unknown critical extension in the leaf', 'leaf', true),
    extended('an unknown extension in the CA', 'CA', false),
    extended('an unknown critical extension in the CA', 'CA', true),
  ];
}

function keyRows(): readonly Row[] {
  const kind = 'keys and signatures';
  const leaf = (name: string, key: (materials: Materials) => Minted['key'], served: Partial<Served> = {}): Row =>
    row(kind, name, (materials) => ({
      leaf: makeServer(materials.ca, { key: key(materials) }),
      trusted: [materials.ca],
      served,
    }));
  const byCa = (
    name: string,
    key: (materials: Materials) => Minted['key'],
    signature?: CertificateSpec['signature'],
  ): Row =>
    row(kind, name, (materials) => {
      const more = signature === undefined ? {} : { signature };
      const ca = makeCa('k', { key: key(materials), ...more });
      return { leaf: makeServer(ca, more), trusted: [ca] };
    });
  const old = { maxVersion: 'TLSv1.2' } as const;
  return [
    leaf('RSA of 2048 bits', ({ rsa2048 }) => rsa2048),
    leaf('RSA of 1024 bits', ({ rsa1024 }) => rsa1024),
    leaf('RSA of 512 bits', () => rsaKey(512), old),
    leaf('P-224', () => ecKey('P-224'), { ...old, curves: 'P-224:P-256' }),
    leaf('P-384', () => ecKey('P-384')),
    leaf('P-521', () => ecKey('P-521')),
    leaf('secp256k1', () => ecKey('secp256k1'), { ...old, curves: 'secp256k1:P-256' }),
    leaf('brainpoolP256r1', () => ecKey('brainpoolP256r1'), { ...old, curves: 'brainpoolP256r1:P-256' }),
    leaf('Ed25519', () => edKey()),
    byCa('a CA with RSA of 2048 bits', ({ rsa2048 }) => rsa2048),
    byCa('a CA with RSA of 1024 bits', ({ rsa1024 }) => rsa1024),
    byCa('a CA with P-224', () => ecKey('P-224')),
    byCa('a CA with P-384', () => ecKey('P-384'), 'sha384'),
    byCa('a CA with P-521', () => ecKey('P-521'), 'sha512'),
    byCa('a CA with secp256k1', () => ecKey('secp256k1')),
    byCa('a CA with brainpoolP256r1', () => ecKey('brainpoolP256r1')),
    byCa('a CA with Ed25519', () => edKey()),
    byCa('RSA with SHA-1', ({ rsa2048 }) => rsa2048, 'sha1'),
    byCa('RSA with SHA-384', ({ rsa2048 }) => rsa2048, 'sha384'),
    byCa('RSA with SHA-512', ({ rsa2048 }) => rsa2048, 'sha512'),
    byCa('RSA with PSS', ({ rsa2048 }) => rsa2048, 'pss'),
    byCa('EC with SHA-1', () => ecKey(), 'sha1'),
    byCa('EC with SHA-512', () => ecKey(), 'sha512'),
    row(kind, 'an intermediate on secp256k1 beside the chain', ({ ca }) => ({
      leaf: makeServer(ca),
      chain: [makeCa('odd', { key: ecKey('secp256k1') })],
      trusted: [ca],
    })),
    row(kind, 'a CA on secp256k1 beside the right one', ({ ca }) => ({
      leaf: makeServer(ca),
      trusted: [makeCa('odd', { key: ecKey('secp256k1') }), ca],
    })),
    row(kind, "signed by a key that is not the issuer's", ({ ca }) => ({
      leaf: makeServer(ca, { signingKey: ecKey() }),
      trusted: [ca],
    })),
  ];
}

function encodingRows(): readonly Row[] {
  const kind = 'encoding of certificates';
  const serial = (name: string, bytes: string): Row =>
    leafRow(kind, name, () => ({ serial: Buffer.from(bytes, 'hex') }));
  return [
    serial('serial 0', '020100'),
    serial('a negative serial', '0201ff'),
    serial('a serial of 20 bytes', `0214${'11'.repeat(20)}`),
    serial('a serial of 30 bytes', `021e${'11'.repeat(30)}`),
    leafRow(kind, 'version 1', () => ({ version1: true, extensions: [] })),
    leafRow(kind, 'names twice', () => ({ extensions: [names, names] })),
    leafRow(kind, 'names that are no list', () => ({ extensions: [extension('2.5.29.17', Buffer.from([4, 1, 65]))] })),
    leafRow(kind, 'bytes behind the names', () => ({
      extensions: [extension('2.5.29.17', Buffer.from('300687047f00000100', 'hex'))],
    })),
    leafRow(kind, 'usage that is no bit string', () => ({
      extensions: [names, extension('2.5.29.15', Buffer.from([4, 1, 65]))],
    })),
    leafRow(kind, 'subject as printable string with a star', () => ({
      subject: Buffer.from('300d310b300906035504031302612a', 'hex'),
    })),
    leafRow(kind, 'subject as printable string with an underscore', () => ({
      subject: Buffer.from('300d310b300906035504031302615f', 'hex'),
    })),
    leafRow(kind, 'subject in T.61', () => ({ subject: Buffer.from('300d310b300906035504031402e4e4', 'hex') })),
    leafRow(kind, 'subject in UCS-2', () => ({ subject: Buffer.from('300d310b300906035504031e020061', 'hex') })),
    leafRow(kind, 'no extensions field', () => ({ extensions: [] })),
    leafRow(kind, 'a key identifier as its own', ({ ca }) => ({
      extensions: [names, subjectKeyId(identifierOf(ca.key))],
    })),
    leafRow(kind, 'an authority by its serial, wrong', ({ ca }) => ({
      extensions: [names, authorityBySerial(ca.subjectDer, 99n)],
    })),
    leafRow(kind, 'an authority by its key, wrong', () => ({
      extensions: [names, authorityKeyId(Buffer.from('00', 'hex'))],
    })),
  ];
}

/** All of this file. */
export function certificateRows(): readonly Row[] {
  return [...nameRows(), ...purposeRows(), ...dateRows(), ...constraintRows(), ...keyRows(), ...encodingRows()];
}
