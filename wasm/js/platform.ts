/** A file of the machine. */
export interface LocalFile {
  /** Its path. */
  readonly name: string;
  /** Its bytes. */
  readonly size: number;
  /** Opens it. */
  stream(): ReadableStream<Uint8Array>;
}

/** What only some hosts can do. */
export interface Platform {
  /** The file that an address or path means; `undefined` for what is fetched. */
  localFile(address: string | URL): Promise<LocalFile | undefined>;
}

let platform: Platform = { localFile: async () => undefined };

/** The host. */
export function host(): Platform {
  return platform;
}

/** Says what the host can do. */
export function setHost(host: Platform): void {
  platform = host;
}
