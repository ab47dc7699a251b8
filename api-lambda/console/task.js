/** `#/tasks/<id>`: one task, watched until it has finished. */

import { call, Problem, taskPath } from "./api.js";
import { announce, fill, h, part } from "./dom.js";
import { bytes, dollars, isUnfinished, localTime, nameOf, statusOf } from "./format.js";
import { keepTask, outputImage } from "./images.js";
import { plain } from "./json.js";
import { poll } from "./poll.js";
import { timeline } from "./timeline.js";

/** How long a call waits for the end of the task, in seconds: about as often as progress is updated (docs/api.md). */
const WAIT = 3;

/** @param {import("./app.js").Context & { id: string }} context */
export function taskView({ signal, report, id }) {
  const parts = {
    head: h("div", { class: "head" }),
    progress: h("div", {}),
    outputs: h("div", {}),
    failure: h("div", {}),
    timeline: h("section", { class: "panel", "aria-label": "Timeline" }),
    facts: h("section", { class: "panel", "aria-label": "Details" }),
  };
  const actions = h("div", { class: "actions" });
  const fault = h("p", { class: "error", role: "alert" });
  const show = {
    head: part(parts.head, heading),
    actions: part(actions, (task) => buttons(task, act)),
    progress: part(parts.progress, progressOf),
    outputs: part(
      parts.outputs,
      ({ outputs }) =>
        outputs.length > 0 &&
        h(
          "div",
          { class: "outputs" },
          outputs.map((_, index) => figure(id, index)),
        ),
    ),
    failure: part(parts.failure, failureOf),
    timeline: part(parts.timeline, timeline),
    facts: part(parts.facts, facts),
  };
  let status;
  const update = (task) => {
    if (status !== undefined && status !== task.status) announce(`Status: ${task.status}.`);
    status = task.status;
    keepTask(task);
    document.title = `${nameOf(task)} · ${task.status} · Darkroom`;
    const { cancel_requested, progress } = task;
    show.head({ name: task.name, id, status, cancel_requested });
    show.actions({ id, status, cancel_requested });
    show.progress({ status, progress });
    // URLs are new in each response; the images that are shown stay.
    show.outputs({ outputs: task.outputs.map(({ s3_uri }) => s3_uri) });
    show.failure({ error: task.error, warnings: task.warnings });
    show.timeline(task.outputs.length > 0 ? { ...task, outputs: [] } : task);
    show.facts({
      ...task,
      progress: null,
      outputs: task.outputs.map((output) => ({ ...output, url: null, url_expires_at: null })),
    });
  };
  const act = async (action) => {
    fault.textContent = "";
    try {
      const headers = action === "retry" ? { "idempotency-key": `console retry ${id}` } : {};
      const task = await call("POST", taskPath(id, action), { headers, signal });
      if (action === "retry") location.hash = `#/tasks/${encodeURIComponent(task.id)}`;
      else update(task);
      announce(action === "retry" ? "The task is submitted again." : "The task is to be canceled.");
    } catch (error) {
      if (!signal.aborted) fault.textContent = error.message;
    }
  };
  const refresh = async (signal) => {
    const headers = status === undefined ? {} : { prefer: `wait=${WAIT}` };
    const task = await call("GET", taskPath(id), { headers, signal }).catch((error) => {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
      fill(
        parts.head,
        h("h1", { tabindex: "-1" }, "No such task"),
        h("p", { class: "muted" }, error.message),
      );
      return null;
    });
    if (task === null) return null;
    update(task);
    return isUnfinished(task) ? 0.2 : null;
  };
  poll(refresh, signal, report);
  const aside = h("div", { class: "side" }, parts.timeline, parts.facts);
  return [
    h("p", { class: "crumb" }, h("a", { href: "#/tasks" }, "Tasks")),
    h("div", { class: "top" }, parts.head, actions),
    fault,
    parts.progress,
    parts.failure,
    h("div", { class: "task" }, parts.outputs, aside),
  ];
}

function heading({ name, id, status, cancel_requested }) {
  return [h("h1", { tabindex: "-1" }, nameOf({ name, id })), statusOf({ status, cancel_requested })];
}

function buttons({ status, cancel_requested }, act) {
  if (isUnfinished({ status })) {
    return h(
      "button",
      { type: "button", disabled: cancel_requested, onclick: () => act("cancel") },
      "Cancel",
    );
  }
  const isRetryable = status === "failed" || status === "expired";
  return (
    isRetryable && h("button", { type: "button", class: "primary", onclick: () => act("retry") }, "Retry")
  );
}

function progressOf({ status, progress }) {
  if (status !== "running") return null;
  const known = Number.isFinite(progress?.fraction);
  const step = progress?.steps ? `step ${progress.step ?? 0} of ${progress.steps}` : "";
  const node = progress?.node ? `node ${progress.node}` : "";
  return h(
    "div",
    { class: "in-progress" },
    h("progress", { value: known ? progress.fraction : undefined, "aria-label": "Progress" }),
    h("span", { class: "muted" }, [step, node].filter(Boolean).join(", ")),
  );
}

/** A file of the task: an image as itself, anything else as a link. */
function figure(id, index) {
  return h("figure", {}, outputImage(id, index));
}

function failureOf({ error, warnings }) {
  const places = [
    error?.field,
    error?.node_id && `node ${error.node_id}${error.class_type ? ` (${error.class_type})` : ""}`,
    ...(error?.violations ?? []).map(({ pointer, message }) => `${pointer}: ${message}`),
  ];
  return [
    error &&
      h(
        "div",
        { class: "failure" },
        h("p", {}, h("code", {}, plain(error.code)), " ", plain(error.message)),
        places.filter(Boolean).map((place) => h("p", { class: "muted" }, place)),
      ),
    warnings.map((warning) =>
      h("p", { class: "warning" }, h("code", {}, plain(warning.code)), " ", plain(warning.message)),
    ),
  ];
}

function facts(task) {
  const rows = [
    ["runtime", task.runtime],
    ["type", task.type],
    ["id", h("code", {}, task.id)],
    [
      "labels",
      Object.entries(task.labels).map(([name, value]) => h("span", { class: "label" }, `${name}=${value}`)),
    ],
    ["retry of", task.retry_of && taskLink(task.retry_of)],
    ["retried as", task.retried_as && taskLink(task.retried_as)],
    ["start by", task.start_by],
    ["GPU time", task.gpu_seconds > 0 && `${task.gpu_seconds.toFixed(2)} s`],
    ["cost", task.cost && dollars(task.cost.amount)],
    ["seed", task.seed !== null && plain(task.seed)],
    [
      "files",
      task.outputs.map(({ s3_uri, bytes: size, width, height }) =>
        h(
          "span",
          { class: "file" },
          h("code", {}, s3_uri),
          " ",
          h("small", {}, [width && `${width} × ${height}`, bytes(size)].filter(Boolean).join(", ")),
        ),
      ),
    ],
    ["record kept", h("span", { title: localTime(task.expires_at) }, "until ", localTime(task.expires_at))],
  ];
  const present = rows.filter(([, value]) => value && value.length !== 0);
  return [
    h("h2", {}, "Details"),
    h(
      "dl",
      {},
      present.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    task.parameters &&
      h(
        "details",
        {},
        h("summary", {}, "Parameters that the runtime reported"),
        h("pre", {}, JSON.stringify(task.parameters, null, 2)),
      ),
  ];
}

function taskLink(id) {
  return h("a", { href: `#/tasks/${encodeURIComponent(id)}` }, h("code", {}, id));
}
