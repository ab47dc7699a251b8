/** One image of the gallery over the page: arrow keys go to its neighbours, Escape closes. */

import { fill, h } from "./dom.js";
import { nameOf } from "./format.js";
import { outputImage } from "./images.js";

/**
 * @param {Array<{ task: any, index: number, element: HTMLElement }>} frames
 * @param {number} at the one that is shown first
 */
export function viewer(frames, at) {
  const stage = h("div", { class: "stage" });
  const caption = h("p", { class: "caption", "aria-live": "polite" });
  const step = (by) => {
    const next = at + by;
    if (next < 0 || next >= frames.length) return;
    at = next;
    show();
  };
  const previous = h(
    "button",
    { type: "button", "aria-label": "Previous image", onclick: () => step(-1) },
    "‹",
  );
  const following = h("button", { type: "button", "aria-label": "Next image", onclick: () => step(1) }, "›");
  const close = h("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = h(
    "dialog",
    { class: "viewer", "aria-label": "Image" },
    stage,
    h("div", { class: "controls" }, previous, caption, following, close),
  );
  const show = () => {
    const { task, index } = frames[at];
    fill(stage, outputImage(task.id, index));
    const link = h(
      "a",
      { href: `#/tasks/${encodeURIComponent(task.id)}`, onclick: () => dialog.close() },
      nameOf(task),
    );
    fill(caption, link, h("span", { class: "muted" }, ` ${at + 1} of ${frames.length}`));
    previous.disabled = at === 0;
    following.disabled = at === frames.length - 1;
  };
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  const leave = () => dialog.close();
  window.addEventListener("hashchange", leave, { once: true });
  dialog.addEventListener("close", () => {
    window.removeEventListener("hashchange", leave);
    dialog.remove();
    frames[at].element.querySelector("button")?.focus();
  });
  document.body.append(dialog);
  show();
  dialog.showModal();
}
