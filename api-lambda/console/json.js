/** JSON that keeps whole numbers beyond 2^53, such as the seeds of ComfyUI, where the browser can. */

/** @param {string} text */
export function parse(text) {
  return JSON.parse(text, (_, value, context) => {
    const isCut = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
    return isCut && context && JSON.rawJSON && /^-?\d+$/.test(context.source)
      ? JSON.rawJSON(context.source)
      : value;
  });
}

/** What a user typed as a number, with all digits; a text if it is none. */
export function numberOf(text) {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

/** A value as one text: a text as it is, everything else as JSON. */
export function plain(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** @param {any} value */
export function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !JSON.isRawJSON?.(value);
}
