/** What the approver keeps of one Node: names and addresses, and whether it may have certificates at all. */
export interface NodeEntry {
  readonly name: string;
  /** In lower case, the node's own name among them. */
  readonly names: readonly string[];
  /** Canonical text. */
  readonly addresses: readonly string[];
  readonly isBeingDeleted: boolean;
  readonly isWithheld: boolean;
  /** By a label that a node may not write about itself (NodeRestriction). */
  readonly isControlPlane: boolean;
}

/** Every Node's names and addresses, and who has which. Holds nothing else of a Node. */
export class NodeIndex {
  readonly #nodes = new Map<string, NodeEntry>();
  /** A name or address, and the Nodes that have it: one text in all but broken clusters. */
  readonly #owners = new Map<string, string | readonly string[]>();

  get size(): number {
    return this.#nodes.size;
  }

  get(name: string): NodeEntry | undefined {
    return this.#nodes.get(name);
  }

  /** Names of the Nodes other than `name` that have this name or address. */
  othersWith(text: string, name: string): readonly string[] {
    return [this.#owners.get(text) ?? []].flat().filter((owner) => owner !== name);
  }

  /** Takes a Node in, or anew; tells whether anything that rules look at has changed. */
  put(entry: NodeEntry): boolean {
    const before = this.#nodes.get(entry.name);
    if (before !== undefined && isSame(before, entry)) return false;
    this.remove(entry.name);
    this.#nodes.set(entry.name, entry);
    for (const text of textsOf(entry)) {
      const owners = this.#owners.get(text);
      this.#owners.set(text, owners === undefined ? entry.name : [...[owners].flat(), entry.name]);
    }
    return true;
  }

  remove(name: string): boolean {
    const entry = this.#nodes.get(name);
    if (entry === undefined) return false;
    this.#nodes.delete(name);
    for (const text of textsOf(entry)) {
      const left = this.othersWith(text, name);
      if (left.length === 0) this.#owners.delete(text);
      else this.#owners.set(text, left.length === 1 ? (left[0] ?? '') : left);
    }
    return true;
  }

  /** Forgets every Node that is not among these: after a list. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of [...this.#nodes.keys()].filter((known) => !names.has(known))) this.remove(name);
  }
}

function textsOf(entry: NodeEntry): ReadonlySet<string> {
  return new Set([...entry.names, ...entry.addresses]);
}

function isSame(one: NodeEntry, other: NodeEntry): boolean {
  const key = (entry: NodeEntry): string =>
    JSON.stringify([entry.names, entry.addresses, entry.isBeingDeleted, entry.isWithheld, entry.isControlPlane]);
  return key(one) === key(other);
}
