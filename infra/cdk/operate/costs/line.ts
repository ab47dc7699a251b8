// A line of a bill, with its arithmetic.

export interface Line {
  what: string;
  arithmetic: string;
  usd: number;
}

/** `quantity × price`, once as a number and once as people write it. */
export function line(what: string, quantity: string, amount: number, unitPrice: number): Line {
  return { what, arithmetic: `${quantity} × $${plain(unitPrice)}`, usd: amount * unitPrice };
}

export const total = (lines: Line[]) => lines.reduce((sum, { usd }) => sum + usd, 0);

export const dollars = (usd: number) =>
  `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;

/** A number with commas and as many digits as it needs. */
export function plain(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.001) return value.toFixed(10).replace(/0+$/, "");
  return value.toLocaleString("en-US", { maximumFractionDigits: value < 10 ? 4 : 2 });
}
