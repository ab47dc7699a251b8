/** `#/gallery`: the images of the key's tasks, newest first, as a contact sheet. */

import { call } from "./api.js";
import { fill, h } from "./dom.js";
import { ago, nameOf } from "./format.js";
import { outputImage } from "./images.js";
import { poll } from "./poll.js";
import { viewer } from "./viewer.js";

const PAGE = 24;
/** The seconds between two looks for new images. */
const PERIOD = 10;

/** @param {import("./app.js").Context} context */
export function gallery({ signal, report }) {
  const sheet = h("ul", { class: "sheet" });
  const empty = h(
    "p",
    { class: "empty", hidden: true },
    "No images yet. ",
    h("a", { href: "#/new" }, "Submit a task."),
  );
  const more = h("button", { type: "button", hidden: true }, "Show more");
  /** One for each image: `{ task, index, element }`, newest first. */
  let frames = [];
  let cursor = null;

  const open = (frame) => viewer(frames, frames.indexOf(frame));
  const framesOf = (tasks) =>
    tasks.flatMap((task) => task.outputs.map((_, index) => newFrame(task, index, open)));
  const page = (from, signal) => {
    const parameters = new URLSearchParams({
      status: "succeeded",
      limit: String(PAGE),
      ...(from && { cursor: from }),
    });
    return call("GET", `v1/tasks?${parameters}`, { signal });
  };
  const refresh = async (signal) => {
    const { tasks, next_cursor } = await page(null, signal);
    const known = new Set(frames.map(({ task }) => task.id));
    const fresh = framesOf(tasks.filter(({ id }) => !known.has(id)));
    sheet.prepend(...fresh.map(({ element }) => element));
    if (frames.length === 0) cursor = next_cursor;
    frames = [...fresh, ...frames];
    empty.hidden = frames.length > 0;
    more.hidden = cursor === null;
    return PERIOD;
  };
  const next = async () => {
    try {
      const { tasks, next_cursor } = await page(cursor, signal);
      const older = framesOf(tasks);
      sheet.append(...older.map(({ element }) => element));
      frames = [...frames, ...older];
      cursor = next_cursor;
      more.hidden = cursor === null;
      older[0]?.element.querySelector("button").focus();
    } catch (error) {
      if (!signal.aborted) report(error);
    }
  };
  more.addEventListener("click", next);
  poll(refresh, signal, report);
  return [h("h1", { tabindex: "-1" }, "Gallery"), sheet, empty, more];
}

function newFrame(task, index, open) {
  const frame = { task, index, element: h("li") };
  const button = h(
    "button",
    {
      type: "button",
      class: "shot",
      "aria-label": `${nameOf(task)}, image ${index + 1}`,
      onclick: () => open(frame),
    },
    outputImage(task.id, index, { link: false }),
  );
  const caption = h(
    "p",
    {},
    h("a", { href: `#/tasks/${encodeURIComponent(task.id)}` }, nameOf(task)),
    " ",
    h("small", { class: "muted" }, ago(task.created_at)),
  );
  fill(frame.element, button, caption);
  return frame;
}
