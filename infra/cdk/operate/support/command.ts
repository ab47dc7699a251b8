/** A command: one file in `operate/` each. */
export interface Command {
  /** Its first line stands in the list of commands, all of it in the command's own help. */
  help: string;
  /** The name of the one argument that is no option, if there is one. */
  positional?: string;
  options?: Record<string, { type: "string" | "boolean"; description: string }>;
  run(call: Call): Promise<void>;
}

/** How it was called. */
export interface Call {
  /** The configuration file. */
  file: string;
  values: Record<string, string | boolean | undefined>;
  positionals: string[];
}
