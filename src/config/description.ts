/** What a setting means, for help, man page and JSON Schema; kept apart from the table so that a daemon need not hold it. */
export interface Description {
  /** One or two sentences. */
  readonly text: string;
  /** What the value is called in help, such as `FILE`. */
  readonly value?: string;
}
