// Bars, drawn in SVG so that they print. Each stands beside its numbers in words, so it is hidden from a reader.

import { draw } from "./element.js";

const BOX = { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" };
const inside = (value) => Math.min(100, Math.max(0, value));

/** One probability with its plausible range: a light band from low to high, a mark at the estimate.
 *  `mark` is the width of the mark in percent: a short bar needs a broad one. */
export function intervalBar({ probability, low, high }, mark = 1.2) {
  const at = (value) => inside(100 * value);
  return draw(
    "svg",
    { ...BOX, class: "interval" },
    draw("rect", { class: "track", x: 0, y: 3, width: 100, height: 4 }),
    draw("rect", { class: "range", x: at(low), y: 1, width: Math.max(0.6, at(high) - at(low)), height: 8 }),
    markAt(at(probability), mark),
  );
}

/** A triangle that points up at a probability on a bar above it; the triangle alone when none is given. */
export function pointer(probability = null) {
  const shape = draw("path", { d: "M0 0l4.5 7h-9z" });
  if (probability === null) return draw("svg", { class: "pointer", viewBox: "-5 0 10 7", "aria-hidden": "true", focusable: "false" }, shape);
  // Set by percent within a drawing of its own, so that it keeps its shape on a bar of any width.
  const at = draw("svg", { x: `${inside(100 * probability)}%`, overflow: "visible" }, shape);
  return draw("svg", { class: "pointed", "aria-hidden": "true", focusable: "false" }, at);
}

/** The states of an answer as parts of one bar, in the order given. */
export function statesBar(parts) {
  let from = 0;
  const drawn = parts.map(({ state, probability }) => {
    const part = draw("rect", { "data-state": state, x: from, y: 0, width: 100 * probability, height: 10 });
    from += 100 * probability;
    return part;
  });
  return draw("svg", { ...BOX, class: "states" }, drawn);
}

/** A difference with its range about zero, on a scale from -reach to +reach. */
export function differenceBar({ difference, low, high }, reach) {
  const at = (value) => inside(50 + (50 * value) / reach);
  return draw(
    "svg",
    { ...BOX, class: "interval difference" },
    draw("rect", { class: "track", x: 0, y: 3, width: 100, height: 4 }),
    draw("rect", { class: "range", x: at(low), y: 1, width: Math.max(0.6, at(high) - at(low)), height: 8 }),
    draw("rect", { class: "zero", x: 49.8, y: 0, width: 0.4, height: 10 }),
    markAt(at(difference), 1.2),
  );
}

/** A signed contribution as a bar from the middle, on a scale from -reach to +reach. */
export function signedBar(value, reach) {
  const width = Math.max(0.4, Math.min(50, (50 * Math.abs(value)) / reach));
  return draw(
    "svg",
    { ...BOX, class: "signed" },
    draw("rect", { class: value < 0 ? "less" : "more", x: value < 0 ? 50 - width : 50, y: 1, width, height: 8 }),
    draw("rect", { class: "zero", x: 49.8, y: 0, width: 0.4, height: 10 }),
  );
}

function markAt(x, width) {
  return draw("rect", { class: "mark", x: Math.min(100 - width, Math.max(0, x - width / 2)), y: 0, width, height: 10 });
}
