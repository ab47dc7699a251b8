// Holds the stacks and the chart to the Rust code: names, ports, paths, filter policies, IAM actions.

import { describe, expect, it } from "vitest";

import { registry } from "../../lib/config/load.ts";
import { render, valuesOf } from "../cluster/helm.ts";
import * as cluster from "../cluster/support.ts";
import { all, type Json, only, statementsOf } from "../support/service.ts";
import { allowed, resolve } from "./policy.ts";
import { leadsTo, routes } from "./routes.ts";
import { type Call, contract, stacks } from "./support.ts";

const { config, ...templates } = stacks();
const code = contract();

/** What Lambda itself does with a queue that feeds a function (Lambda developer guide, "SQS permissions"). */
const OF_THE_EVENT_SOURCE = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"];

/** The actions on DynamoDB, S3, SNS and SQS that statements allow, each once. */
const granted = (statements: Json[]): string[] => [
  ...new Set(
    statements
      .filter(({ Effect }) => Effect === "Allow")
      .flatMap(({ Action }) => [Action].flat() as string[])
      .filter((action) => /^(dynamodb|s3|sns|sqs):/.test(action)),
  ),
];
const called = (calls: Call[]) => [...new Set(calls.map(({ action }) => action))];

describe("the bus", () => {
  const filters = Object.values(all(templates.service, "AWS::SNS::Subscription"))
    .filter(({ FilterPolicy }) => FilterPolicy)
    .map(({ FilterPolicy, FilterPolicyScope }) => ({ FilterPolicy, FilterPolicyScope }));

  it("leads tasks by the attributes that the front door sets", () => {
    const { runtime, legacy_model } = code.attributes;
    expect(filters).toEqual([
      {
        FilterPolicyScope: "MessageAttributes",
        FilterPolicy: {
          $or: [
            { [runtime]: ["sdruntime"] },
            { [legacy_model]: ["sd_xl_base_1.0.safetensors", "dreamshaper_8.safetensors"] },
          ],
        },
      },
      { FilterPolicyScope: "MessageAttributes", FilterPolicy: { [runtime]: ["comfyui"] } },
    ]);
  });
});

describe.each([
  ["front-door", code.front_door.variables, code.calls.front_door],
  ["dead-letter", code.dead_letter.variables, code.calls.dead_letter],
])("the function %s", (name, variables, calls) => {
  const [, { Environment }] = only(templates.service, "AWS::Lambda::Function", {
    FunctionName: `${config.name}-${name}`,
  });
  const statements = statementsOf(templates.service, `${config.name}-${name}`);

  it("is set nothing that it does not read", () => {
    const set = Object.keys(Environment.Variables);
    expect(set.length).toBeGreaterThan(0);
    // OpenTelemetry reads its own.
    const own = set.filter((variable) => !variable.startsWith("OTEL_"));
    expect(own.filter((variable) => !variables.includes(variable))).toEqual([]);
  });

  it.each(calls.map((call) => ({ call })))(
    "may call $call.action on $call.resource $call.key",
    ({ call }) => {
      expect(allowed(statements, call, { queue: "queue", inputs: "" })).toBe(true);
    },
  );

  it("may call nothing that it never calls", () => {
    const more = name === "dead-letter" ? OF_THE_EVENT_SOURCE : [];
    expect(granted(statements).sort()).toEqual([...called(calls), ...more].sort());
  });
});

describe("the table of records", () => {
  it("is the one that the local stack creates", () => {
    const [, properties] = only(templates.service, "AWS::DynamoDB::Table");
    const { AttributeDefinitions, BillingMode, GlobalSecondaryIndexes, KeySchema, TimeToLiveSpecification } =
      properties;
    const sorted = (list: Json[], name: string) => list.toSorted((a, b) => (a[name] < b[name] ? -1 : 1));
    expect({
      AttributeDefinitions: sorted(AttributeDefinitions, "AttributeName"),
      BillingMode,
      GlobalSecondaryIndexes: sorted(GlobalSecondaryIndexes, "IndexName"),
      KeySchema,
      TimeToLiveSpecification,
    }).toEqual(code.record_table);
  });
});

describe("the front door", () => {
  const methods = routes(templates.service, `${config.name}-front-door`);

  it.each(code.front_door.paths)("is reached at $method $path", ({ method, path, public: isPublic }) => {
    const [route, ...more] = methods.filter((route) => leadsTo(route, method, path));
    expect(route).toMatchObject({ needsKey: !isPublic });
    expect(more).toEqual([]);
  });

  it("has no path that its program does not have", () => {
    const unknown = methods.filter(
      (route) => !code.front_door.paths.some(({ method, path }) => leadsTo(route, method, path)),
    );
    expect(unknown).toEqual([]);
  });

  it("serves Comfy API v2 below each of its bases, with a key, and nothing else there", () => {
    const comfy = routes(templates.service, `${config.name}-comfy`);
    expect(comfy.length).toBeGreaterThan(0);
    for (const { needsKey } of comfy) expect(needsKey).toBe(true);
    for (const method of ["GET", "HEAD", "POST", "DELETE"]) {
      for (const base of code.front_door.comfy_bases) {
        expect(comfy.filter((route) => leadsTo(route, method, `${base}/jobs/1`)).length).toBeGreaterThan(0);
      }
    }
    const based = comfy.filter(({ path }) =>
      code.front_door.comfy_bases.some((base) =>
        leadsTo({ method: "ANY", path, needsKey: true }, "GET", `${base}/jobs`),
      ),
    );
    expect(based).toEqual(comfy);
  });

  it("has the runtimes that the local stack derives from the same file", () => {
    expect(registry(config)).toEqual(code.registry);
  });
});

describe.each(config.runtimes.map((runtime) => ({ runtime, name: runtime.name })))(
  "the pod of $name",
  ({ runtime, name }) => {
    const [id] = cluster.release(templates.cluster, name);
    const values = valuesOf(cluster.all(templates.cluster)[id], config.partition, config.region);
    const { manifests } = render(name, config.name, values);
    const { spec } = manifests.find(({ kind }) => kind === "Deployment").spec.template;
    const [worker] = spec.containers;
    const [beside] = spec.initContainers;
    const settings = Object.fromEntries(worker.env.map(({ name, value }: Json) => [name, value ?? ""]));

    it("sets the worker nothing that it does not read", () => {
      const own = Object.keys(settings).filter(
        (variable) => !/^(AWS_REGION|LOG_FORMAT|RUST_LOG)$|^OTEL_/.test(variable),
      );
      expect(own.filter((variable) => !code.worker.variables.includes(variable))).toEqual([]);
    });

    it("sets the worker what a laptop derives from the same file", () => {
      for (const [variable, value] of Object.entries(code.worker_settings[name] ?? {})) {
        expect(`${variable}=${settings[variable] ?? ""}`).toBe(`${variable}=${value}`);
      }
      expect(settings).toMatchObject({
        DRAIN_SECONDS: String(runtime.deadlines.drain),
        GRACE_PERIOD_SECONDS: String(spec.terminationGracePeriodSeconds),
      });
      const margin = spec.terminationGracePeriodSeconds - runtime.deadlines.drain;
      expect(margin).toBeGreaterThanOrEqual(code.worker.drain_margin_seconds);
    });

    it("probes where worker and runtime answer", () => {
      const { paths, health_port, runtimes } = code.worker;
      const health = worker.ports.find(({ name }: Json) => name === "health").containerPort;
      expect(health).toBe(health_port);
      expect(worker.livenessProbe.httpGet).toEqual({ path: paths.liveness, port: "health" });
      expect(worker.readinessProbe.httpGet).toEqual({ path: paths.readiness, port: "health" });
      expect(beside.livenessProbe.httpGet).toEqual({ path: paths.runtime_liveness, port: health_port });
      expect(beside.ports[0].containerPort).toBe(runtimes[runtime.type]?.port);
    });

    const [, association] = cluster.only(templates.cluster, "AWS::EKS::PodIdentityAssociation", {
      ServiceAccount: name,
    });
    const role = cluster.target(association.Properties.RoleArn);
    const statements = cluster.statementsOf(templates.cluster, role);
    const own = {
      queue: `arn:aws:sqs:${config.region}:${config.account}:${config.name}-${name}`,
      inputs: `arn:aws:s3:::${runtime.inputs.buckets[0]}`,
    };
    const calls = code.calls.worker.filter(
      ({ resource }) => resource !== "inputs" || runtime.inputs.buckets.length > 0,
    );

    it.each(calls.map((call) => ({ call })))(
      "may call $call.action on $call.resource $call.key",
      ({ call }) => {
        expect(allowed(statements, call, own)).toBe(true);
      },
    );

    it("may call nothing that its worker never calls", () => {
      expect(granted(statements).sort()).toEqual(called(code.calls.worker).sort());
    });

    it("may touch neither the front door's tasks, nor another's queue, nor the topic of tasks", () => {
      const other = { ...own, queue: `${own.queue}-of-another` };
      // Both read everything in the bucket of results, and update records.
      const shared = code.calls.worker.map((call) => JSON.stringify(call));
      const others = code.calls.front_door.filter(
        (call) => call.action !== "s3:GetObject" && !shared.includes(JSON.stringify(call)),
      );
      expect(others.map(({ action }) => action)).toContain("sns:Publish");
      for (const call of others) expect(allowed(statements, call, own)).toBe(false);
      expect(allowed(statements, { action: "sqs:ReceiveMessage", resource: "queue" }, other)).toBe(false);
      expect(statements.map(({ Resource }) => resolve(Resource))).not.toContain("tasks");
    });
  },
);
