// What a million images cost, beside what runs anyway.

import type { Config, Runtime } from "../../lib/config/types.ts";
import { hourly, marketOf, pricedType } from "../../lib/instance-prices.ts";
import { OF_RUNTIMES } from "../../lib/metrics.ts";
import { isTraced } from "../../lib/tracing.ts";
import { autoModeFee } from "./auto-mode.ts";
import { line, type Line, plain } from "./line.ts";
import { PRICES } from "./prices.ts";

/** What the tasks are like. */
export interface Workload {
  /** How long the GPU works on one image. */
  seconds: number;
  /** The size of a request's body, and of an image, in kB. */
  requestKb: number;
  imageKb: number;
}

/** The kind of task that the predecessor's cost table is about: 512², 16 kB of request, 150 kB of image. */
export const SMALL: Workload = { seconds: 1.5, requestKb: 16, imageKb: 150 };
/** SDXL, 1024². */
export const LARGE: Workload = { seconds: 7, requestKb: 2, imageKb: 1500 };

const IMAGES = 1e6;
export const HOURS_A_MONTH = 730;
const BILLED_KB = 64;

/**
 * The front door's memory and billed time. Its own work is 0.014 ms (tests/figures); the rest is waiting for
 * SNS.
 */
const FUNCTION_GB = 0.25;
export const FUNCTION_SECONDS = 0.02;

/**
 * How long a worker has a task before it extends its lease: a third of the visibility timeout
 * (worker/src/cloud/lease.rs).
 */
const LEASE_SHARE = 3;

/**
 * Write units of a task without an idempotency key: the record and its index, its mark as published, its start, and its
 * end, when it has more than 1 kB. With a quota an index of unfinished tasks is written twice (task-records/README.md).
 */
const RECORD_WRITES = 6;
const QUOTA_WRITES = 2;

/** Write units of a task, without those of its progress. */
export const recordWrites = ({ maxUnfinishedTasks }: Config["records"]): number =>
  RECORD_WRITES + (maxUnfinishedTasks > 0 ? QUOTA_WRITES : 0);

/** A worker reads the record of a run every 2 s, for half a unit, and writes progress every 6 s (worker/src/steps/watch.rs). */
const READ_SECONDS = 2;
const PROGRESS_SECONDS = 6;

/** Assumed: a finished record with its keys in the index. */
const RECORD_KB = 2;

/** Assumed. A gateway's line, two of the function, a worker's eight; the way to SQS and SNS with TLS. */
const LOG_KB = 5;
const NAT_KB = 15;

/** Metrics of a runtime in CloudWatch, however many pods it has; each is billed for the hours in which it has data. */
export const METRICS = Object.keys(OF_RUNTIMES).length;

export function perMillion(config: Config, runtime: Runtime, work: Workload): Line[] {
  return [
    gpu(runtime, work),
    ...autoModeFee(config, "GPU", pricedType(runtime), gpuHours(work)),
    dataVolume(runtime, work),
    ...(config.metrics.enabled ? [metrics(work)] : []),
    ...besidePods(config, runtime, work),
  ];
}

/** What a million tasks cost beside the pods that run them. */
export function besidePods(config: Config, runtime: Runtime, work: Workload): Line[] {
  const million = (count: number) => `${plain(count)} M`;
  // What is too large for a message goes by way of the bucket, and the message only refers to it.
  const claimCheck = work.requestKb * 1000 > config.api.messageBytes;
  const publishes = claimCheck ? 1 : Math.ceil(work.requestKb / BILLED_KB);
  const requests = 2 * publishes + 1 + extensions(runtime, work);
  const storedGb = (IMAGES * work.imageKb) / 1e6;
  const months = config.results.lifetimeDays === 0 ? 1 : config.results.lifetimeDays / 30;
  const { emails, webhooks } = config.subscriptions;
  const { share } = config.tracing;
  return [
    line("API Gateway", `${million(1)} requests`, 1, PRICES.apiRequests.usd),
    line("Lambda, requests", million(1), 1, PRICES.lambdaRequests.usd),
    line(
      "Lambda, time",
      `1 M × ${FUNCTION_GB} GB × ${FUNCTION_SECONDS} s`,
      IMAGES * FUNCTION_GB * FUNCTION_SECONDS,
      PRICES.lambdaTime.usd,
    ),
    line(
      "SNS: tasks and notifications",
      `${million(publishes + 1)} publishes`,
      publishes + 1,
      PRICES.snsPublish.usd,
    ),
    line("SQS: delivered, received, deleted", `${million(requests)} requests`, requests, PRICES.sqs.usd),
    line("S3: image and `.out`", `${million(2)} PUT`, 2, PRICES.s3Put.usd),
    line("S3: looked for, fetched once", `${million(2)} HEAD, GET`, 2, PRICES.s3Get.usd),
    line(
      "S3: stored",
      `${plain(storedGb)} GB × ${plain(months)} ${months === 1 ? "month" : "months"}`,
      storedGb * months,
      PRICES.s3Storage.usd,
    ),
    ...(config.records.enabled ? records(config, work) : []),
    line("logs", `1 M × ${LOG_KB} kB = ${LOG_KB} GB`, LOG_KB, PRICES.logs.usd),
    ...(isTraced(config) ? [line("traces", `${plain(share * 100)} % of 1 M`, share, PRICES.traces.usd)] : []),
    ...(claimCheck
      ? [
          line("claim check", "1 M PUT", 1, PRICES.s3Put.usd),
          line("claim check", "1 M GET", 1, PRICES.s3Get.usd),
        ]
      : []),
    ...(config.cluster.existing
      ? []
      : [line("NAT: to SQS and SNS", `1 M × ${NAT_KB} kB = ${NAT_KB} GB`, NAT_KB, PRICES.natTraffic.usd)]),
    ...(emails.length > 0
      ? [line("emails", million(emails.length), emails.length, PRICES.snsEmail.usd)]
      : []),
    ...(webhooks.length > 0
      ? [line("webhooks", million(webhooks.length), webhooks.length, PRICES.snsHttp.usd)]
      : []),
  ];
}

/**
 * The GPU's time. With a backlog it is busy for more than 99 % of it (tests/figures), so gaps are left out.
 */
function gpu(runtime: Runtime, work: Workload): Line {
  const type = pricedType(runtime);
  const hours = gpuHours(work);
  const what = `GPU: ${type ?? "a type without a price here"}, ${marketOf(runtime)}`;
  return line(
    what,
    `1 M × ${work.seconds} s = ${plain(hours)} h`,
    hours,
    (type && hourly(type, marketOf(runtime))) || 0,
  );
}

const gpuHours = ({ seconds }: Workload) => (IMAGES * seconds) / 3600;

/** At most: of pods that work at the same time the hours count once. */
function metrics(work: Workload): Line {
  const hours = Math.min(gpuHours(work), HOURS_A_MONTH);
  const quantity = `${METRICS} × ${plain(hours)} h ÷ ${HOURS_A_MONTH} h`;
  return line("metrics in CloudWatch", quantity, (METRICS * hours) / HOURS_A_MONTH, PRICES.customMetric.usd);
}

/** A node's volume, for as long as the node works. */
function dataVolume({ instances }: Runtime, work: Workload): Line {
  const hours = gpuHours(work);
  const quantity = `${instances.volumeGiB} GiB × ${plain(hours)} h ÷ ${HOURS_A_MONTH} h`;
  return line("its data volume", quantity, (instances.volumeGiB * hours) / HOURS_A_MONTH, PRICES.volume.usd);
}

function records({ records }: Config, { seconds }: Workload): Line[] {
  const writes = recordWrites(records) + Math.floor(seconds / PROGRESS_SECONDS);
  const reads = Math.floor(seconds / READ_SECONDS) / 2;
  const months = records.days / 30;
  return [
    line("DynamoDB: written", `${plain(writes)} M units`, writes, PRICES.dynamodbWrites.usd),
    ...(reads > 0
      ? [line("DynamoDB: read by workers", `${plain(reads)} M units`, reads, PRICES.dynamodbReads.usd)]
      : []),
    line(
      "DynamoDB: stored",
      `${RECORD_KB} GB × ${plain(months)} ${months === 1 ? "month" : "months"}`,
      RECORD_KB * months,
      PRICES.dynamodbStorage.usd,
    ),
  ];
}

function extensions({ deadlines }: Runtime, { seconds }: Workload): number {
  return Math.floor(seconds / (deadlines.visibility / LEASE_SHARE));
}
