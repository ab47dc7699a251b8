/** The API key: kept until the tab is closed, or in this browser if the user says so. */

import { h } from "./dom.js";
import { BASE } from "./base.js";

/** Other deployments can have the same origin, at another path. */
const NAME = `darkroom-api-key ${BASE.pathname}`;

/** @returns {string | null} */
export function storedKey() {
  return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
}

export function forgetKey() {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}

function keep(key, isLasting) {
  forgetKey();
  (isLasting ? localStorage : sessionStorage).setItem(NAME, key);
}

/**
 * The form that asks for the key.
 * @param {() => void} entered
 */
export function keyForm(entered) {
  const isRefused = storedKey() !== null;
  // What HTTP allows in the value of a header.
  const input = h("input", {
    id: "api-key",
    type: "password",
    autocomplete: "current-password",
    required: true,
    pattern: "[ -~]+",
    title: "printable ASCII characters",
    spellcheck: "false",
    "aria-describedby": "api-key-help",
    "aria-invalid": isRefused && "true",
  });
  const lasting = h("input", { type: "checkbox", id: "lasting" });
  const submit = (event) => {
    event.preventDefault();
    keep(input.value.trim(), lasting.checked);
    entered();
  };
  return h(
    "form",
    { class: "key-form", onsubmit: submit },
    h("h1", { tabindex: "-1" }, "API key"),
    h(
      "p",
      { id: "api-key-help", class: isRefused ? "error" : "muted" },
      isRefused
        ? "The API does not accept this key."
        : "The console calls the API with your key. It shows the tasks of this key.",
    ),
    h("label", { for: "api-key" }, "Key"),
    input,
    h("label", { class: "check" }, lasting, "Keep it in this browser after the tab is closed"),
    h("button", { class: "primary", type: "submit" }, "Continue"),
  );
}
