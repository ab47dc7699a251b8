// The part of the results bucket that is Darkroom's own, as `shared-schema/src/keys.rs` lays it out.

/** Nothing of a caller's is below it. */
export const RESERVED_PREFIX = "_darkroom/";

/** Tasks that are too large for a message: the front door writes them, workers only read. */
export const LARGE_TASKS = `${RESERVED_PREFIX}tasks/*`;

/** Inputs that callers upload: the front door signs URLs for them, workers only read. */
export const UPLOADS = `${RESERVED_PREFIX}uploads/*`;
