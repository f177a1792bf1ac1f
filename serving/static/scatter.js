// A scatter of two probabilities: a dot at each estimate, its number beside it, its ranges as a cross.

import { draw } from "./element.js";

const EDGE = { left: 52, right: 16, top: 14, bottom: 46 };
const TAG = 9;
const TICKS = 5;

/**
 * @param {Array<object>} dots `number`, `x` and `y` as estimates with ranges, `chosen`, `barred`
 * @param {object} frame `width` and `height` in pixels, `titles` of both axes, `ranges`: whose ranges are drawn, a
 *   function of a dot; `label` for who cannot see it
 */
export function scatter(dots, { width, height, titles, ranges, label }) {
  const across = axis(dots, "x", ranges, EDGE.left, width - EDGE.right);
  const up = axis(dots, "y", ranges, height - EDGE.bottom, EDGE.top);
  const placed = spread(dots.map((dot) => ({ ...dot, at: [across.at(dot.x.probability), up.at(dot.y.probability)] })), width, height);
  const order = [...placed].sort((a, b) => Number(a.chosen) - Number(b.chosen));
  return draw(
    "svg",
    { class: "scatter", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    grid(across, up, width, height),
    draw("text", { class: "axis-title", x: (EDGE.left + width - EDGE.right) / 2, y: height - 6, "text-anchor": "middle" }, titles[0]),
    draw("text", { class: "axis-title", transform: `translate(13 ${(EDGE.top + height - EDGE.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, titles[1]),
    order.filter(ranges).map((dot) => cross(dot, across, up)),
    order.map(mark),
  );
}

function axis(dots, side, ranges, from, to) {
  const ends = dots.flatMap((dot) => (ranges(dot) ? [dot[side].low, dot[side].high] : [dot[side].probability]));
  const step = nice((Math.max(...ends) - Math.min(...ends)) / TICKS);
  const low = Math.max(0, Math.floor(Math.min(...ends) / step) * step);
  const high = Math.min(1, Math.max(low + 2 * step, Math.ceil(Math.max(...ends) / step) * step));
  const at = (value) => from + ((to - from) * (value - low)) / (high - low);
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);
  return { at, ticks };
}

// Whole percentages only.
function nice(rough) {
  return [0.01, 0.02, 0.05, 0.1, 0.2].find((step) => step >= rough) ?? 0.25;
}

function grid(across, up, width, height) {
  const [left, right, top, bottom] = [EDGE.left, width - EDGE.right, EDGE.top, height - EDGE.bottom];
  const percent = (value) => `${Math.round(100 * value)}%`;
  return [
    across.ticks.map((tick) => [
      draw("line", { class: "line", x1: across.at(tick), x2: across.at(tick), y1: top, y2: bottom }),
      draw("text", { class: "tick", x: across.at(tick), y: bottom + 16, "text-anchor": "middle" }, percent(tick)),
    ]),
    up.ticks.map((tick) => [
      draw("line", { class: "line", x1: left, x2: right, y1: up.at(tick), y2: up.at(tick) }),
      draw("text", { class: "tick", x: left - 7, y: up.at(tick) + 4, "text-anchor": "end" }, percent(tick)),
    ]),
  ];
}

function cross({ x, y, at, chosen }, across, up) {
  return draw(
    "g",
    { class: chosen ? "cross chosen" : "cross" },
    draw("line", { x1: across.at(x.low), x2: across.at(x.high), y1: at[1], y2: at[1] }),
    draw("line", { x1: at[0], x2: at[0], y1: up.at(y.low), y2: up.at(y.high) }),
  );
}

function mark({ number, at, tag, chosen, barred }) {
  return draw(
    "g",
    { class: `dot${chosen ? " chosen" : ""}${barred ? " barred" : ""}` },
    draw("line", { class: "lead", x1: at[0], y1: at[1], x2: tag[0], y2: tag[1] }),
    draw("circle", { class: "point", cx: at[0], cy: at[1], r: chosen ? 4.5 : 3.5 }),
    barred
      ? draw("rect", { class: "tag", x: tag[0] - TAG, y: tag[1] - TAG, width: 2 * TAG, height: 2 * TAG, rx: 2 })
      : draw("circle", { class: "tag", cx: tag[0], cy: tag[1], r: TAG }),
    draw("text", { class: "number", x: tag[0], y: tag[1] + 4, "text-anchor": "middle" }, String(number)),
  );
}

/** Push the numbers apart, and off the dots, so that each can be read. */
function spread(dots, width, height) {
  const tags = dots.map(({ at }, i) => [at[0] + 13 * Math.cos(i * 2.4), at[1] + 13 * Math.sin(i * 2.4)]);
  const apart = (mine, other, least, share) => {
    const [dx, dy] = [mine[0] - other[0], mine[1] - other[1]];
    const distance = Math.hypot(dx, dy) || 0.01;
    if (distance >= least) return;
    const push = (share * (least - distance)) / distance;
    mine[0] += dx * push;
    mine[1] += dy * push;
  };
  for (let round = 0; round < 200; round += 1) {
    for (let i = 0; i < tags.length; i += 1) {
      for (let j = 0; j < tags.length; j += 1) {
        if (i !== j) apart(tags[i], tags[j], 2 * TAG + 2, 0.5);
        apart(tags[i], dots[j].at, TAG + 7, 0.6);
      }
      tags[i][0] = Math.min(width - EDGE.right - TAG, Math.max(EDGE.left + TAG, tags[i][0]));
      tags[i][1] = Math.min(height - EDGE.bottom - TAG, Math.max(EDGE.top + TAG, tags[i][1]));
    }
  }
  return dots.map((dot, i) => ({ ...dot, tag: tags[i] }));
}
