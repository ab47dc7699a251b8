import { describe, expect, it } from "vitest";

import type { Config } from "../../lib/config/types.ts";
import { findings } from "../support/findings.ts";
import { EXAMPLES, example, synth } from "./support.ts";

const variants: [string, Config][] = [
  ...EXAMPLES.map((name): [string, Config] => [name, example(name)]),
  [
    "an existing cluster in EKS Auto Mode",
    example("existing-cluster", ({ cluster }) => {
      cluster.nodes = "auto";
      delete cluster.nodeRole;
    }),
  ],
  ["china, IRSA", example("china", ({ cluster }) => (cluster.identity = "irsa"))],
];

describe.each(variants)("the stack of %s", (_, config) => {
  const { stack } = synth(config);

  it("leaves no finding of cdk-nag without a reason", () => {
    expect(findings(stack)).toEqual([]);
  });
});
