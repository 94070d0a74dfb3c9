import { escaped, inOneLine } from '../adapters/log/printable.ts';
import { CertletError } from '../errors.ts';
import { STATUS_VERSION, type StatusDocument } from './document.ts';

/** As text for file and socket, ending in a newline. */
export const encodeStatus = (document: StatusDocument): string => `${JSON.stringify(document, undefined, 2)}\n`;

/** Reads what `encodeStatus` wrote, to be shown: what could steer a terminal is escaped in every text, also in a path. `source` names it in messages. Throws `ERR_CONTROL` for anything else and for formats of another version. */
export function decodeStatus(text: string, source: string): StatusDocument {
  const value = parsed(text, source);
  const version = field(value, 'version');
  if (version !== STATUS_VERSION) {
    throw new CertletError('ERR_CONTROL', `${source} has format ${String(version)}, this program reads format 1`, {
      remedy: 'systemctl restart certlet   # the running one is of another version',
    });
  }
  const certificates = field(value, 'certificates');
  const whole =
    isMoment(field(field(value, 'process'), 'startedAt')) &&
    typeof field(field(value, 'node'), 'name') === 'string' &&
    Array.isArray(certificates) &&
    certificates.every((one) => isMoment(field(one, 'since')) && isTextOrAbsent(field(one, 'path'))) &&
    Array.isArray(field(value, 'hooks'));
  if (!whole) throw new CertletError('ERR_CONTROL', `${source} is no status document`);
  return value as StatusDocument;
}

/** Whoever may write in the runtime folder speaks to root by this: no text has a line of its own, such as one that looks like a command to paste. */
const harmless = (_name: string, value: unknown): unknown =>
  typeof value === 'string' ? escaped(inOneLine(value)) : value;

function parsed(text: string, source: string): unknown {
  try {
    return JSON.parse(text, harmless);
  } catch (cause) {
    throw new CertletError('ERR_CONTROL', `${source} is no JSON`, { cause });
  }
}

const isMoment = (value: unknown): boolean => typeof value === 'string' && !Number.isNaN(Date.parse(value));

const isTextOrAbsent = (value: unknown): boolean => value === undefined || typeof value === 'string';

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
