/** The few encoding functions that certlet uses; the typings of node-forge do not cover its subpaths. */
declare module 'node-forge/lib/asn1.js' {
  interface Asn1 {
    readonly tagClass: number;
    readonly type: number;
  }
  interface Asn1Encoder {
    create(tagClass: number, type: number, constructed: boolean, value: string | readonly Asn1[]): Asn1;
    /** `getBytes` gives one character per byte. */
    toDer(node: Asn1): { getBytes(): string };
    oidToDer(oid: string): { getBytes(): string };
  }
  const asn1: Asn1Encoder;
  export { asn1 as default };
}
