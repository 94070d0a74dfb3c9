/**
 * What `strip` of binutils does to the Node binary, with nothing but Node, so that every machine ships the same bytes: 150 MB become 117.
 * https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
 */

const MAGIC = '\u007fELF\u0002\u0001';
/** Fields of the file header of a 64 bit file: where they stand. */
const HEADER = {
  programs: 0x20,
  sections: 0x28,
  programSize: 0x36,
  programCount: 0x38,
  sectionCount: 0x3c,
  nameSection: 0x3e,
};
const SECTION_SIZE = 64;
/** A section that is in memory when the program runs (SHF_ALLOC), and one without bytes in the file (SHT_NOBITS). */
const IN_MEMORY = 2n;
const NO_BYTES = 8;

interface Section {
  readonly header: Buffer;
  readonly inMemory: boolean;
  /** Where its bytes lie in the file. */
  readonly start: number;
  readonly end: number;
}

/**
 * An executable (ELF, 64 bit, little endian) without symbols and debug information: everything up to the last section that the running
 * program has in memory stays as it is, byte for byte. Throws for anything else than such a file.
 */
export function stripElf(file: Buffer): Buffer {
  const sections = sectionsOf(file);
  const names = sections[file.readUInt16LE(HEADER.nameSection)];
  if (names === undefined)
    throw new Error('this executable has no names of sections: cut off, or stripped of its sections');
  const kept = sections.slice(0, sections.findLastIndex(({ inMemory }) => inMemory) + 1);
  const end = Math.max(...kept.map((section) => section.end), endOfSegments(file));
  const table = align(end + names.end - names.start);
  const stripped = Buffer.alloc(table + (kept.length + 1) * SECTION_SIZE);
  file.copy(stripped, 0, 0, end);
  file.copy(stripped, end, names.start, names.end);
  for (const [index, section] of [...kept, names].entries())
    headerOf(section, kept.length).copy(stripped, table + index * SECTION_SIZE);
  stripped.writeBigUInt64LE(BigInt(end), table + kept.length * SECTION_SIZE + 24);
  stripped.writeBigUInt64LE(BigInt(table), HEADER.sections);
  stripped.writeUInt16LE(kept.length + 1, HEADER.sectionCount);
  stripped.writeUInt16LE(kept.length, HEADER.nameSection);
  return stripped;
}

function sectionsOf(file: Buffer): readonly Section[] {
  if (file.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new Error('this is no 64 bit little-endian ELF file');
  const table = Number(file.readBigUInt64LE(HEADER.sections));
  return Array.from({ length: file.readUInt16LE(HEADER.sectionCount) }, (_, index) => {
    const header = file.subarray(table + index * SECTION_SIZE, table + (index + 1) * SECTION_SIZE);
    const start = Number(header.readBigUInt64LE(24));
    const bytes = header.readUInt32LE(4) === NO_BYTES ? 0 : Number(header.readBigUInt64LE(32));
    return { header, inMemory: (header.readBigUInt64LE(8) & IN_MEMORY) !== 0n, start, end: start + bytes };
  });
}

/** The kernel and ld.so go by segments, and know no sections. */
function endOfSegments(file: Buffer): number {
  const table = Number(file.readBigUInt64LE(HEADER.programs));
  const size = file.readUInt16LE(HEADER.programSize);
  const ends = Array.from({ length: file.readUInt16LE(HEADER.programCount) }, (_, index) => {
    const at = table + index * size;
    return Number(file.readBigUInt64LE(at + 8) + file.readBigUInt64LE(at + 32));
  });
  return Math.max(table + ends.length * size, ...ends);
}

/** With its link to another section (`sh_link`) only where that one is kept. */
function headerOf({ header }: Section, kept: number): Buffer {
  const copy = Buffer.from(header);
  if (copy.readUInt32LE(40) >= kept) copy.writeUInt32LE(0, 40);
  return copy;
}

const align = (offset: number): number => Math.ceil(offset / 8) * 8;
