// Words for probabilities: whole numbers, and never more certainty than there is.

/** A probability as a whole percentage without its sign: "38", "<1", ">99". */
export function percent(probability) {
  const value = 100 * probability;
  if (value < 1) return "<1";
  return value > 99 ? ">99" : String(Math.round(value));
}

/** An interval as "25–52". */
export function range(low, high) {
  return `${percent(low)}–${percent(high)}`;
}

/** How many of 100 people, in words that fit a sentence. */
export function people(probability) {
  const value = 100 * probability;
  if (value < 1) return "fewer than 1";
  return value > 99 ? "more than 99" : `about ${Math.round(value)}`;
}

/** Whether a number of people takes the singular. */
export function single(probability) {
  return Math.round(100 * probability) <= 1;
}

/** A difference of probabilities in whole points with its sign: "+4", "−12"; "+<1" rounds to nothing but is not. */
export function points(difference) {
  const sign = difference > 0 ? "+" : difference < 0 ? "−" : "";
  const value = Math.round(Math.abs(100 * difference));
  return sign && !value ? `${sign}<1` : `${sign}${value}`;
}

/** A text of the service with its units as they are printed: "10^9/L" as "10⁹/L", "kg/m2" as "kg/m²". */
export function printed(text) {
  const raised = (digits) => [...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");
  return text.replace(/\^(\d+)/g, (_, power) => raised(power)).replace(/\/m2\b/g, "/m²");
}
