// Numbers that look random and are the same in each run.

/** mulberry32, a generator of 32 bits in the public domain, and the distributions of a queue. */
export function random(seed: number) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const exponential = (mean: number) => -mean * Math.log(1 - uniform());
  /** With a mean of 1: the mean of `1 / variation²` exponential ones (Erlang), so `variation` is 1, 1/√2, 1/√3, ... */
  const gamma = (variation: number) => {
    const stages = Math.max(Math.round(1 / variation ** 2), 1);
    let sum = 0;
    for (let n = 0; n < stages; n++) sum += exponential(1 / stages);
    return sum;
  };
  return { uniform, exponential, gamma };
}
