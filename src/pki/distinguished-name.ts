import { type DerElement, isObjectIdentifier, readElements } from './der-reader.ts';

/** One attribute of a Name. */
export interface NameAttribute {
  /** The object identifier's bytes as hex: `550403` is the common name. */
  readonly type: string;
  /** Undefined for what is no text that Go reads: such an attribute makes Go refuse the whole certificate. */
  readonly value: string | undefined;
}

/** The two attributes that Kubernetes reads, as `NameAttribute.type`. */
export const NAME_TYPE = { commonName: '550403', organization: '55040a' } as const;

const SEQUENCE = 0x30;
const SET = 0x31;
const OID = 0x06;
const TAG = { utf8: 12, numeric: 18, printable: 19, teletex: 20, ia5: 22, bmp: 30 } as const;

/** Go takes `*` and `&` in a PrintableString beside what X.680 allows (crypto/x509 parseASN1String). */
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?*&]*$/;

/**
 * The attributes of a Name (RFC 5280 4.1.2.4) in their order, those of one set as well. Throws `ERR_API_PROTOCOL` for what is no Name.
 */
export function readName(name: DerElement): readonly NameAttribute[] {
  return partsOf(name, SEQUENCE)
    .flatMap((set) => partsOf(set, SET))
    .flatMap((attribute) => {
      const [type, value, ...rest] = partsOf(attribute, SEQUENCE);
      const typed = type?.tag === OID && isObjectIdentifier(type.content);
      if (!typed || value === undefined || rest.length > 0) return [{ type: '', value: undefined }];
      return [{ type: Buffer.from(type.content).toString('hex'), value: textOf(value) }];
    });
}

/** Several common names: the last one counts, as in Go's crypto/x509, which the API server reads it with. */
export function commonNameOf(attributes: readonly NameAttribute[]): string | undefined {
  return attributes.filter(({ type }) => type === NAME_TYPE.commonName).at(-1)?.value;
}

/** What is no such element is one attribute that cannot be read. */
function partsOf(element: DerElement, tag: number): readonly DerElement[] {
  return element.tag === tag ? readElements(element.content) : [element];
}

function textOf({ tag, content }: DerElement): string | undefined {
  const bytes = Buffer.from(content);
  switch (tag) {
    case TAG.utf8:
      return utf8(bytes);
    case TAG.printable:
      return matching(bytes, PRINTABLE);
    case TAG.numeric:
      return matching(bytes, /^[0-9 ]*$/);
    case TAG.ia5:
      return bytes.every((byte) => byte < 0x80) ? bytes.toString('latin1') : undefined;
    case TAG.teletex:
      return bytes.toString('latin1');
    case TAG.bmp:
      return bytes.length % 2 === 0 ? Buffer.from(bytes).swap16().toString('utf16le').replace(/\0$/, '') : undefined;
    default:
      return undefined;
  }
}

function utf8(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined;
}

function matching(bytes: Buffer, form: RegExp): string | undefined {
  const text = bytes.toString('latin1');
  return form.test(text) ? text : undefined;
}
