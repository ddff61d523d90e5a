/** How files of `--format json` were read. */

/** What the records of a file are. */
export type JsonShape =
  | { readonly kind: 'array' }
  | { readonly kind: 'objects' }
  /** The elements of one list in one object. */
  | { readonly kind: 'list'; readonly key: string }
  | { readonly kind: 'features' };

export interface JsonReadingJson {
  readonly format: 'json';
  /** One for each way in which the files are written. */
  readonly shapes: readonly JsonShape[];
}

/** Filled while the files are read. */
export class JsonReading {
  readonly #shapes = new Map<string, JsonShape>();

  add(shape: JsonShape): void {
    this.#shapes.set(JSON.stringify(shape), shape);
  }

  toJson(): JsonReadingJson {
    return { format: 'json', shapes: [...this.#shapes.values()] };
  }

  /** Returns one line for people. */
  describe(): string {
    const shapes = [...this.#shapes.values()].map(describeShape);
    return `read as JSON: ${shapes.length === 0 ? 'nothing' : shapes.join('; ')}`;
  }
}

function describeShape(shape: JsonShape): string {
  switch (shape.kind) {
    case 'array':
      return 'the objects of an array';
    case 'objects':
      return 'one object after another';
    case 'list':
      return `the objects of the list ${JSON.stringify(shape.key)}`;
    case 'features':
      return 'the features of GeoJSON';
  }
}
