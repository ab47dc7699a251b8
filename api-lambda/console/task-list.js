/** `#/tasks`: the tasks of the key, newest first, updated while they are looked at. */

import { call } from "./api.js";
import { announce, fill, h } from "./dom.js";
import { ago, duration, isUnfinished, nameOf, statusOf } from "./format.js";
import { poll } from "./poll.js";

const PAGE = 25;
/** The most tasks of one call (docs/api.md). */
const MOST_AT_ONCE = 100;
/** The most tasks in the list: all of them are fetched again each time. */
const MOST = 500;
/** The seconds between two calls, with unfinished tasks and without. */
const BUSY = 3;
const IDLE = 10;

const STATUSES = ["queued,running", "succeeded", "failed,expired", "canceled"];

/** @param {import("./app.js").Context} context */
export function taskList({ signal, report }) {
  const list = h("ul", { class: "tasks" });
  const more = h("button", { type: "button", hidden: true }, "Show more");
  const empty = h("p", { class: "empty", hidden: true });
  const status = h(
    "select",
    { id: "status", "aria-label": "Status" },
    h("option", { value: "" }, "all"),
    STATUSES.map((value) => h("option", { value }, value.replace(",", " or "))),
  );
  const label = h("input", {
    id: "label",
    type: "search",
    "aria-label": "Label",
    placeholder: "label, as in team=red",
    spellcheck: "false",
  });

  let wanted = PAGE;
  let again = new AbortController();
  const known = new Map();

  const refresh = async (signal) => {
    const { tasks, isComplete } = await newest(status.value, label.value, wanted, signal);
    show(tasks);
    more.hidden = isComplete || wanted >= MOST;
    empty.hidden = tasks.length > 0;
    fill(
      empty,
      status.value || label.value
        ? "No task matches."
        : ["No tasks yet. ", h("a", { href: "#/new" }, "Submit the first one.")],
    );
    return tasks.some(isUnfinished) ? BUSY : IDLE;
  };
  /** Rows stay the same elements, so the focus stays. */
  const show = (tasks) => {
    const rows = tasks.map((task) => {
      const row = known.get(task.id) ?? newRow(task);
      if (row.status && row.status !== task.status) announce(`${nameOf(task)}: ${task.status}`);
      row.status = task.status;
      row.update(task);
      known.set(task.id, row);
      return row.element;
    });
    if (rows.length !== list.children.length || rows.some((row, index) => row !== list.children[index])) {
      const focused = document.activeElement;
      fill(list, rows);
      if (list.contains(focused)) focused.focus();
    }
  };
  const restart = () => {
    again.abort();
    again = new AbortController();
    poll(refresh, AbortSignal.any([signal, again.signal]), report);
  };
  status.addEventListener("change", restart);
  label.addEventListener("change", restart);
  more.addEventListener("click", () => ((wanted = Math.min(wanted + PAGE, MOST)), restart()));
  restart();
  return [
    h(
      "div",
      { class: "head" },
      h("h1", { tabindex: "-1" }, "Tasks"),
      h("div", { class: "filters" }, status, label),
    ),
    list,
    empty,
    more,
  ];
}

/** So many tasks that match, or fewer: a call that finds few may have looked at many. */
async function newest(status, label, wanted, signal) {
  const tasks = [];
  let cursor = null;
  for (let left = wanted; left > 0; left -= MOST_AT_ONCE) {
    const parameters = query(status, label, Math.min(left, MOST_AT_ONCE), cursor);
    const page = await call("GET", `v1/tasks?${parameters}`, { signal });
    tasks.push(...page.tasks);
    cursor = page.next_cursor;
    if (cursor === null) break;
  }
  return { tasks, isComplete: cursor === null };
}

function query(status, label, limit, cursor) {
  const parameters = new URLSearchParams({ limit: String(limit), ...(cursor && { cursor }) });
  if (status) parameters.set("status", status);
  const [name, ...value] = label.split("=");
  if (name.trim() && value.length > 0) parameters.set(`label.${name.trim()}`, value.join("=").trim());
  return parameters;
}

function newRow(task) {
  const link = h("a", { href: `#/tasks/${encodeURIComponent(task.id)}` });
  return { element: h("li", {}, link), status: "", update: (task) => fill(link, cells(task)) };
}

function cells(task) {
  const fraction = task.status === "running" ? task.progress?.fraction : undefined;
  return [
    statusOf(task),
    h("span", { class: "name" }, nameOf(task)),
    h("span", { class: "kind" }, `${task.runtime} `, h("small", {}, task.type)),
    h("span", { class: "spent" }, spent(task)),
    h("span", { class: "when" }, ago(task.created_at)),
    Number.isFinite(fraction) && h("progress", { value: fraction, "aria-label": "Progress" }),
  ];
}

function spent(task) {
  if (task.timings) return task.status === "succeeded" ? duration(task.timings.run_ms) : "";
  return Number.isFinite(task.progress?.fraction) ? `${Math.round(task.progress.fraction * 100)} %` : "";
}
