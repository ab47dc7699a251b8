/** `#/runtimes`: what is deployed, how much waits for it, and the key's own unfinished tasks. */

import { call } from "./api.js";
import { fill, h, listed, part } from "./dom.js";
import { isObject, plain } from "./json.js";
import { poll } from "./poll.js";

/** The seconds between two calls. */
const PERIOD = 10;

const LIMITS = { max_pixels: "pixels", max_steps: "steps", max_images: "images", max_bytes: "bytes" };

/** @param {import("./app.js").Context} context */
export function runtimesView({ signal, report }) {
  const list = h("div", { class: "runtimes" });
  const show = part(list, ({ runtimes, own }) => runtimes.map((runtime) => card(runtime, own[runtime.name])));
  const refresh = async (signal) => {
    const [{ runtimes }, { tasks, next_cursor }] = await Promise.all([
      call("GET", "v1/runtimes", { signal }),
      call("GET", "v1/tasks?status=queued,running&limit=100", { signal }),
    ]);
    const own = Object.create(null);
    for (const { runtime, status } of tasks) {
      own[runtime] ??= { queued: 0, running: 0, isMore: next_cursor !== null };
      own[runtime][status] += 1;
    }
    show({ runtimes, own });
    if (runtimes.length === 0) fill(list, h("p", { class: "empty" }, "No runtimes are deployed."));
    return PERIOD;
  };
  poll(refresh, signal, report);
  return [h("h1", { tabindex: "-1" }, "Runtimes"), list];
}

function card(runtime, own) {
  const limits = Object.entries(LIMITS).filter(([name]) => Number.isFinite(runtime.limits?.[name]));
  const { models, task_types: types } = runtime;
  const unfinished = own && `${own.queued} queued, ${own.running} running${own.isMore ? ", and more" : ""}`;
  const rows = [
    ["queue", backlogOf(runtime)],
    ["your tasks", unfinished ?? "none unfinished"],
    ["models", models.length > 0 ? listed(models.map((model) => h("code", {}, model))) : "any"],
    ["task types", types.map(({ type }) => type).join(", ")],
    [
      "limits",
      limits.map(([name, unit]) => `${runtime.limits[name].toLocaleString("en")} ${unit}`).join(", "),
    ],
  ];
  const present = rows.filter(([, value]) => value !== null);
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, runtime.name, " ", h("small", { class: "muted" }, runtime.type)),
    h(
      "dl",
      {},
      present.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
  );
}

/** What waits in the queue, of all keys, where the API says so. */
function backlogOf({ backlog }) {
  if (!isObject(backlog)) return null;
  return Object.entries(backlog)
    .map(([name, value]) => `${plain(value)} ${name.replaceAll("_", " ")}`)
    .join(", ");
}
