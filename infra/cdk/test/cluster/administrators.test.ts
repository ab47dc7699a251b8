import { expect, it } from "vitest";

import { example, resources, synth } from "./support.ts";

const operators = "arn:aws:iam::111122223333:role/operators";

it("administrators are let in with all rights, and nobody else", () => {
  const entries = (administrators: string[]) => {
    const { template } = synth(
      example("full", (config) => Object.assign(config.cluster, { administrators })),
    );
    return resources(template, "AWS::EKS::AccessEntry", { PrincipalArn: operators });
  };
  expect(entries([])).toHaveLength(0);
  const [[, entry] = []] = entries([operators]);
  expect(JSON.stringify(entry?.Properties.AccessPolicies)).toContain("/AmazonEKSClusterAdminPolicy");
});

it("the provider of an existing cluster is what its roles trust, with IRSA", () => {
  const oidcProvider =
    "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF";
  const config = example("existing-cluster", ({ cluster }) =>
    Object.assign(cluster, { identity: "irsa", oidcProvider }),
  );
  const json = JSON.stringify(synth(config).template.toJSON());
  expect(json).toContain(`"Federated":"${oidcProvider}"`);
  expect(json).toContain("oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF:sub");
});
