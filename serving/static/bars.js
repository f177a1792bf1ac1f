// Bars, drawn in SVG so that they print. Each stands beside its numbers in words, so it is hidden from a reader.

import { draw } from "./element.js";

const BOX = { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" };

/** One probability with its plausible range: a light band from low to high, a mark at the estimate.
 *  `mark` is the width of the mark in percent: a short bar needs a broad one. */
export function intervalBar({ probability, low, high }, mark = 1.2) {
  const at = (value) => Math.min(100, Math.max(0, 100 * value));
  return draw(
    "svg",
    { ...BOX, class: "interval" },
    draw("rect", { class: "track", x: 0, y: 3, width: 100, height: 4 }),
    draw("rect", { class: "range", x: at(low), y: 1, width: Math.max(0.6, at(high) - at(low)), height: 8 }),
    draw("rect", { class: "mark", x: Math.min(100 - mark, Math.max(0, at(probability) - mark / 2)), y: 0, width: mark, height: 10 }),
  );
}

/** The states of an answer as parts of one bar, in the order given. */
export function statesBar(parts) {
  let from = 0;
  const drawn = parts.map(([state, probability]) => {
    const part = draw("rect", { "data-state": state, x: from, y: 0, width: 100 * probability, height: 10 });
    from += 100 * probability;
    return part;
  });
  return draw("svg", { ...BOX, class: "states" }, drawn);
}
