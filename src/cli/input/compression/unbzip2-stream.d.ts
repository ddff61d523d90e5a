declare module 'unbzip2-stream/lib/bzip2.js' {
  type ReadBits = (count: number | null) => number;

  export interface Decoder {
    /** Returns the size of blocks, in units of 100 000 bytes. */
    header(bits: ReadBits): number;
    /** Returns the checksum so far; null at the end of the stream. */
    decompress(
      bits: ReadBits,
      push: (byte: number) => void,
      block: Int32Array,
      blockBytes: number,
      checksum: number,
    ): number | null;
  }

  const decoder: Decoder;
  export default decoder;
}
