/** Numbers that may be names of columns: years, and numbers in even steps. Pure. */

export function isYear(field: string): boolean {
  return /^\s*(?:1[5-9]|2[01])\d\d\s*$/.test(field);
}

/** At least so many whole numbers in even steps: 1990, 2000, 2010. */
export function isSeries(fields: readonly string[], least: number): boolean {
  if (fields.length < least) return false;
  const numbers = fields.map((field) => (/^\s*\d{1,4}\s*$/.test(field) ? Number(field) : NaN));
  const step = numbers[1]! - numbers[0]!;
  const isEven = numbers.every((number, at) => at === 0 || number - numbers[at - 1]! === step);
  return isEven && [1, 5, 10].includes(Math.abs(step));
}

/** Names such as V1, V2 … that programs give: one beginning, and numbers that count up. */
export function isNumbered(fields: readonly string[]): boolean {
  const parts = fields.map((field) => /^(.*?\D)(\d+)$/s.exec(field.trim()));
  return (
    parts.length > 1 &&
    parts.every((part, at) => {
      if (part === null || at === 0) return part !== null;
      const before = parts[at - 1]!;
      return part[1] === before[1] && Number(part[2]) === Number(before[2]) + 1;
    })
  );
}
