/** Image fields: files that are uploaded when the task is submitted, or addresses. */

import { upload } from "./api.js";
import { fill, h, mark } from "./dom.js";
import { bytes } from "./format.js";

/** The address of each file that has been stored: a task that is sent again refers to the same. */
const stored = new WeakMap();

/** The address of a file, which is stored the first time. */
export async function addressOf(file, signal) {
  if (!stored.has(file)) stored.set(file, await upload(file, signal));
  return stored.get(file);
}

/**
 * @param {import("./schema.js").Field} field of the kind `image` or `images`
 * @returns {import("./fields.js").Input}
 */
export function imageInput(field, id, pointer) {
  const isList = field.kind === "images";
  let files = [];
  const list = h("ul", { class: "files" });
  const fault = h("p", { id: `${id}-fault`, class: "error", hidden: true });
  const address = h("input", {
    type: "text",
    placeholder: "or https://…, s3://…",
    "aria-label": `${field.label}: address of an image`,
    spellcheck: "false",
    autocomplete: "off",
  });
  const picker = h("input", {
    id,
    type: "file",
    accept: "image/*",
    multiple: isList,
    "aria-describedby": `${id}-help ${id}-fault`,
  });

  const show = () => {
    mark(picker, fault, "");
    fill(
      list,
      files.map((file) =>
        preview(file, () => ((files = files.filter((other) => other !== file)), show(), picker.focus())),
      ),
    );
  };
  const add = (more) => {
    files = isList ? [...files, ...more] : more.slice(0, 1);
    show();
  };
  picker.addEventListener("change", () => (add([...picker.files]), (picker.value = "")));
  const zone = dropZone(picker, add);
  const help = h("p", { id: `${id}-help`, class: "help" }, field.help || field.form);
  const element = h(
    "div",
    { class: "field image" },
    h("label", { for: id }, field.label),
    zone,
    list,
    address,
    help,
    fault,
  );

  const value = async (signal) => {
    const addresses = [];
    for (const file of files) addresses.push(await addressOf(file, signal));
    if (address.value.trim()) addresses.push(address.value.trim());
    if (addresses.length === 0) return undefined;
    return isList ? addresses : addresses[0];
  };
  return { pointer, kind: "image", element, value, mark: (message) => mark(picker, fault, message) };
}

/** A file picker that files can be dropped on, too. */
export function dropZone(picker, add) {
  const zone = h("div", { class: "drop" }, picker);
  zone.addEventListener("dragover", (event) => (event.preventDefault(), zone.classList.add("over")));
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length > 0) add([...event.dataTransfer.files]);
  });
  return zone;
}

function preview(file, remove) {
  const url = URL.createObjectURL(file);
  const image = h("img", {
    src: url,
    alt: "",
    onload: () => URL.revokeObjectURL(url),
    onerror: () => URL.revokeObjectURL(url),
  });
  const button = h(
    "button",
    { type: "button", class: "quiet", "aria-label": `Remove ${file.name}`, onclick: remove },
    "Remove",
  );
  return h("li", {}, image, h("span", {}, file.name, " ", h("small", {}, bytes(file.size))), button);
}
