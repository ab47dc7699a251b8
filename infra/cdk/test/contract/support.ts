// Both stacks of an example, and what the programs say of themselves: `cargo run --example contract`.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";

import { ClusterStack } from "../../lib/cluster-stack.ts";
import { load } from "../../lib/config/load.ts";
import { ServiceStack } from "../../lib/service-stack.ts";
import { CONTEXT, FUNCTIONS, type Json } from "../support/service.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const FILE = path("../../../examples/full.yaml");

/** A call that a program was seen to make. */
export interface Call {
  action: string;
  resource: "tasks" | "completions" | "queue" | "results" | "inputs" | "records";
  /** Of an object: `<prefix>` stands for what callers choose. Of a table: its index. */
  key?: string;
}

/** What the Rust code expects and does: `tests/contract` prints it, and nothing in it is typed by hand. */
export interface Contract {
  attributes: { runtime: string; legacy_model: string };
  reserved_prefix: string;
  front_door: {
    variables: string[];
    paths: { method: string; path: string; public: boolean }[];
    /** What stands before each path of Comfy API v2. */
    comfy_bases: string[];
  };
  worker: {
    variables: string[];
    health_port: number;
    paths: { liveness: string; readiness: string; runtime_liveness: string; metrics: string };
    runtimes: Record<string, { port: number; task_types: string[] }>;
    drain_margin_seconds: number;
  };
  dead_letter: { variables: string[] };
  calls: Record<"front_door" | "worker" | "dead_letter", Call[]>;
  /** The table of records, as `AWS::DynamoDB::Table` describes one; lists are in the order of their names. */
  record_table: Json;
  registry: Json[];
  worker_settings: Record<string, Record<string, string>>;
}

/** Asks the program, which runs tasks of every kind on the embedded AWS APIs to see what it calls. */
export function contract(): Contract {
  const program = path("../../../../target/debug/examples/contract");
  // It brings its own endpoint, which no variable of other tests may replace.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("AWS_")));
  return JSON.parse(
    execFileSync(program, ["--config", FILE], { encoding: "utf8", stdio: "pipe", env }),
  ) as Contract;
}

/** The two stacks as they are deployed together. */
export function stacks() {
  const config = load(FILE);
  const app = new App({ context: CONTEXT });
  const env = { account: config.account, region: config.region };
  const service = new ServiceStack(app, "service", { env, config, functions: FUNCTIONS });
  const cluster = new ClusterStack(app, "cluster", { env, config, service: service.handover });
  return { config, service: Template.fromStack(service), cluster: Template.fromStack(cluster) };
}
