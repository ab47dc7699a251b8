import { describe, expect, it } from "vitest";

import { gpuLimit } from "../../lib/config/gpus.ts";
import { imageCacheMode } from "../../lib/config/image-cache-mode.ts";
import { keep, render, valuesOf } from "./helm.ts";
import { all, EXAMPLES, example, type Json, release, synth } from "./support.ts";

describe.each(EXAMPLES)("the releases of %s", (name) => {
  const { template, config } = synth(example(name));

  it.each(config.runtimes.map((runtime) => ({ runtime })))(
    "$runtime.name can be installed",
    ({ runtime }) => {
      const [id, { Properties }] = release(template, runtime.name);
      expect(Properties.Namespace).toBe(config.name);
      expect(Properties.ChartAssetURL).toBeDefined();
      // Nobody waits for a GPU.
      expect(Properties).not.toHaveProperty("Wait");

      const values = valuesOf(all(template)[id], config.partition, config.region);
      const { text, manifests } = render(runtime.name, config.name, values);
      keep(`${name}-${runtime.name}`, text);

      const of = (kind: string) => manifests.find((manifest) => manifest.kind === kind);
      expect(of("ServiceAccount").metadata.name).toBe(values.serviceAccount.name);
      expect(of("Deployment").spec.template.spec.serviceAccountName).toBe(values.serviceAccount.name);
      const auto = config.cluster.nodes === "auto";
      expect(of(auto ? "NodeClass" : "EC2NodeClass").spec).toMatchObject({
        role: values.nodes.role,
        subnetSelectorTerms: values.nodes.subnets.map((id: string) => ({ id })),
        securityGroupSelectorTerms: values.nodes.securityGroups.map((id: string) => ({ id })),
        // The deletion of the stack waits for instances with this tag.
        ...(auto ? {} : { tags: expect.objectContaining({ "darkroom:deployment": config.name }) }),
      });
      expect(of("ScaledObject")).toBeDefined();
    },
  );
});

describe("the values of a release", () => {
  const { template, config } = synth(example("full"));
  const values = (runtime: string) =>
    valuesOf(all(template)[release(template, runtime)[0]], "aws", "us-west-2");

  it("follow the configuration", () => {
    const [sdruntime] = config.runtimes;
    expect(values("sdruntime")).toMatchObject({
      runtime: {
        name: "sdruntime",
        type: "sdwebui",
        image: "111122223333.dkr.ecr.us-west-2.amazonaws.com/studio/sdwebui:0.1.0",
        extraArgs: ["--medvram-sdxl"],
        env: { TZ: "UTC" },
        model: "sd_xl_base_1.0.safetensors",
      },
      worker: {
        image: "111122223333.dkr.ecr.us-west-2.amazonaws.com/studio/worker:0.1.0",
        queueUrl: "https://sqs.us-west-2.amazonaws.com/111122223333/studio-sdruntime",
        completionTopicArn: "arn:aws:sns:us-west-2:111122223333:completions",
        resultsBucket: "results-of-somebody",
        recordTable: "records-table",
        dynamicModel: true,
        notifyRunning: true,
        concurrency: 1,
        attempts: 3,
        urlSeconds: 3600,
        inputHosts: ["images.internal.example.com", "10.20.0.0/16"],
        inputBuckets: ["my-company-uploads"],
        maxPixels: 4194304,
        maxSteps: 100,
        maxImages: 8,
        metrics: { namespace: "Darkroom/studio", logGroup: "/darkroom/studio/metrics" },
        gpuUsdPerHour: 1.006,
      },
      deadlines: sdruntime?.deadlines,
      replicas: { min: 0, max: 20 },
      scaling: { tasksPerReplica: 4, cooldownSeconds: 900, schedules: sdruntime?.scaling.schedules },
      models: { bucket: "my-company-models" },
      nodes: {
        clusterName: "studio",
        instanceTypes: ["g5.xlarge", "g5.2xlarge", "g6.xlarge"],
        purchase: "spot-first",
        volumeGiB: 120,
        imageCache: { mode: "snapshot", snapshot: "snap-0123456789abcdef0", initializationRate: 300 },
        tags: { team: "imaging", "cost-center": "4711", "darkroom:deployment": "studio" },
      },
    });
    expect(values("comfyui").worker).toMatchObject({
      concurrency: 2,
      nodesDenied: ["VHS_LoadVideoPath", "LoadImageFromUrl"],
      maxPixels: 67108864,
      maxSteps: 500,
      maxImages: 128,
    });
  });

  it("are overridden by those that are passed through, and only these", () => {
    expect(values("sdruntime").runtime).toMatchObject({ scratchGiB: 40, extraArgs: ["--medvram-sdxl"] });
    expect(values("sdruntime").nodes).toMatchObject({ consolidateAfter: "10m", volumeGiB: 120 });
    expect(values("comfyui").nodes.consolidateAfter).toBeUndefined();
  });

  it("let pods reach interface endpoints, from where tasks may still name no inputs", () => {
    const { networkPolicy, worker } = values("comfyui");
    expect(networkPolicy.extraEgress).toEqual([
      { to: [{ ipBlock: { cidr: "10.0.96.0/19" } }], ports: [{ protocol: "TCP", port: 443 }] },
    ]);
    expect(worker.inputHosts).toEqual([]);
  });

  it("have images pulled in parallel where every instance type has an instance store", () => {
    const mode = (types: string[]) => {
      const config = example("minimal");
      const runtime = { ...config.runtimes[0]!, instances: { ...config.runtimes[0]!.instances, types } };
      return imageCacheMode(config, runtime);
    };
    expect(mode(example("minimal").runtimes[0]!.instances.types)).toBe("soci");
    expect(mode(["p3dn.24xlarge"])).toBe("soci");
    expect(mode(["g5.xlarge", "p3.2xlarge"])).toBe("none");
    expect(imageCacheMode(example("full"), example("full").runtimes[0]!)).toBe("snapshot");
  });

  it("let Karpenter start as many GPUs as pods, in whole nodes", () => {
    const limit = (max: number, types: string[]) => {
      const [runtime] = example("minimal").runtimes;
      return gpuLimit({
        ...runtime!,
        replicas: { min: 0, max },
        instances: { ...runtime!.instances, types },
      });
    };
    expect(values("sdruntime").nodes.maxGpus).toBe(20);
    expect(limit(10, ["g5.xlarge", "g5.12xlarge"])).toBe(10);
    expect(limit(10, ["g5.12xlarge", "g6.48xlarge"])).toBe(12);
    expect(limit(1, ["g7e.12xlarge"])).toBe(2);
  });

  it("stand on the preset of the type", () => {
    expect(values("comfyui").runtime.startupPath).toBe("/system_stats");
    expect(values("sdruntime").runtime.startupPath).toMatch(/^\/sdapi\/v1\/progress/);
  });

  it("leave no field of a runtime out", () => {
    // What is used elsewhere: the front door's registry of runtimes has these, the chart has none of them.
    const elsewhere = ["models", "taskTypes", "claimCheck", "image", "name", "type"];
    const rendered = values("sdruntime");
    const used: Record<string, Json> = {
      model: rendered.runtime.model,
      dynamicModel: rendered.worker.dynamicModel,
      nodes: rendered.worker.nodesDenied,
      allowedSettings: rendered.worker.settingsAllowed,
      allowedScripts: rendered.worker.scriptsAllowed,
      uninterruptibleRun: rendered.worker.uninterruptibleRun,
      limits: rendered.worker.maxSteps,
      inputs: rendered.worker.inputBuckets,
      args: rendered.runtime.extraArgs,
      env: rendered.runtime.env,
      concurrency: rendered.worker.concurrency,
      notifyRunning: rendered.worker.notifyRunning,
      instances: rendered.nodes.instanceTypes,
      replicas: rendered.replicas,
      scaling: rendered.scaling,
      deadlines: rendered.deadlines,
      attempts: rendered.worker.attempts,
      hourlyPrice: rendered.worker.gpuUsdPerHour,
      values: rendered.runtime.scratchGiB,
    };
    expect(Object.values(used).every((value) => value !== undefined)).toBe(true);
    expect(Object.keys(config.runtimes[0] ?? {}).sort()).toEqual(
      expect.arrayContaining(Object.keys(used).sort()),
    );
    const unknown = Object.keys(config.runtimes[0] ?? {}).filter(
      (field) => !(field in used) && !elsewhere.includes(field),
    );
    expect(unknown).toEqual([]);
  });

  it("have the list price of the first type with a known price, unless one is configured", () => {
    const price = (types: string[], purchase: "spot" | "on-demand") => {
      const { template } = synth(
        example("minimal", ({ runtimes }) => {
          for (const { instances } of runtimes) Object.assign(instances, { types, purchase });
        }),
      );
      const [id] = release(template, "sdruntime");
      return valuesOf(all(template)[id], "aws", "us-west-2").worker.gpuUsdPerHour;
    };
    expect(price(["g9.xlarge", "g5.xlarge"], "spot")).toBe(0.53);
    expect(price(["g5.xlarge"], "on-demand")).toBe(1.006);
    expect(price(["g9.xlarge"], "spot")).toBe(0);
  });

  it("have the variables of OpenTelemetry, which the chart passes to the worker", () => {
    expect(values("comfyui").worker.env).toEqual({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://traces.example.com/v1/traces",
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.1",
    });
  });

  it("publish no metrics where these are disabled", () => {
    const without = synth(example("minimal", ({ metrics }) => (metrics.enabled = false))).template;
    const { worker } = valuesOf(all(without)[release(without, "sdruntime")[0]], "aws", "us-west-2");
    expect(worker.metrics).toEqual({});
  });

  it("have no table where tasks are not recorded", () => {
    const without = synth(example("minimal", ({ records }) => (records.enabled = false))).template;
    const { worker } = valuesOf(all(without)[release(without, "sdruntime")[0]], "aws", "us-west-2");
    expect(worker.recordTable).toBe("");
  });

  it("take the account's own registry by default", () => {
    const minimal = synth(example("minimal")).template;
    const { runtime } = valuesOf(all(minimal)[release(minimal, "sdruntime")[0]], "aws", "us-west-2");
    expect(runtime.image).toBe("111122223333.dkr.ecr.us-west-2.amazonaws.com/darkroom/sdwebui:0.1.0");
  });

  it("take an image of one's own", () => {
    const own = synth(
      example("minimal", ({ runtimes }) => {
        for (const runtime of runtimes) runtime.image = "registry.example.com/forge:2";
      }),
    ).template;
    const { runtime } = valuesOf(all(own)[release(own, "sdruntime")[0]], "aws", "us-west-2");
    expect(runtime.image).toBe("registry.example.com/forge:2");
  });
});
