import { expect, it } from "vitest";

import { endpoints, privateInputs } from "../../lib/cluster/private-inputs.ts";
import { valuesOf } from "./helm.ts";
import { all, example, release, synth } from "./support.ts";

const opened = (host: string) =>
  privateInputs([host]).map(
    ({ to, ports }) => `${to[0]?.ipBlock.cidr} ${ports.map(({ port }) => port).join()}`,
  );

it.each([
  ["10.1.2.3", "10.1.2.3/32 80,443"],
  ["10.1.2.3:8080", "10.1.2.3/32 8080"],
  ["10.0.0.0/8", "10.0.0.0/8 80,443"],
  ["fd00::1", "fd00::1/128 80,443"],
  ["fd00::/8", "fd00::/8 80,443"],
  ["[fd00::1]:8080", "fd00::1/128 8080"],
])("%s is opened", (host, expected) => {
  expect(opened(host)).toEqual([expected]);
});

it.each(["images.internal", "images.internal:8080", "localhost"])("the name %s opens nothing", (host) => {
  expect(opened(host)).toEqual([]);
});

it("a release opens what its runtime may fetch from", () => {
  const { template } = synth(example("full"));
  const [id] = release(template, "sdruntime");
  const { networkPolicy } = valuesOf(all(template)[id], "aws", "us-west-2");
  const own = endpoints(["10.0.96.0/19"]);
  expect(networkPolicy.extraEgress).toEqual([...privateInputs(["10.20.0.0/16"]), ...own]);
});
