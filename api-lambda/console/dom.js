/** Builds the page. Texts become text nodes and attributes, never markup. */

/**
 * An element. `on…` properties are listeners; a property that is null, undefined or false is left out.
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | number | null | undefined | false | Array<any>)} children
 * @returns {any} the element; modules use properties of its own kind
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/** Replaces what an element contains, with children as `h` has them. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Texts or elements with commas between them. */
export function listed(items) {
  return items.flatMap((item, index) => (index === 0 ? [item] : [", ", item]));
}

/**
 * A part of a view that is built again only when its data has changed, so that focus and selection stay.
 * @param {HTMLElement} element
 * @param {(data: any) => any} build returns children as `h` has them
 */
export function part(element, build) {
  let shown;
  return (data) => {
    const key = JSON.stringify(data);
    if (key === shown) return;
    shown = key;
    const hadFocus = element.contains(document.activeElement);
    fill(element, build(data));
    const next = element.querySelector("h1, button:enabled") ?? document.getElementById("main");
    if (hadFocus) next.focus({ preventScroll: true });
  };
}

/**
 * Shows what is wrong with a control of a form, or nothing.
 * @param {HTMLElement} control
 * @param {HTMLElement} fault where the message is shown
 * @param {string} message
 */
export function mark(control, fault, message) {
  fault.textContent = message;
  fault.hidden = message === "";
  if (message) {
    control.setAttribute("aria-invalid", "true");
    control.closest("details")?.setAttribute("open", "");
  } else {
    control.removeAttribute("aria-invalid");
  }
}

/** Says something to screen readers, without moving the focus. */
export function announce(text) {
  document.getElementById("announce").textContent = text;
}

/** A URL from a response, if a page can link to it. */
export function webUrl(text) {
  const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : null;
  return url && (url.protocol === "https:" || url.protocol === "http:") ? url.href : null;
}
