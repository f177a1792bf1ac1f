// Natural frequencies: a hundred figures for a regimen, in the same order each time, with the same in words.

import { draw, make } from "./element.js";
import { flagList } from "./flags.js";
import { percent, range } from "./numbers.js";
import { RegimenPicker } from "./picker.js";
import { inWords } from "./rows.js";
import { lower } from "./terms.js";

const ROW = 10;
const STEP = 20;

export class PeopleView {
  /** @param {object} context what is shared by the views of one answer */
  constructor(context) {
    this.context = context;
    const { regimens } = context;
    this.first = new RegimenPicker("Regimen", "people-first", regimens, context.chosen, (place) => context.choose(place));
    this.second = new RegimenPicker("Beside it", "people-second", regimens, -1, () => this.open(), "None");
    this.arrays = make("div", { class: "arrays" });
    this.element = make(
      "section",
      { class: "card", "aria-labelledby": "people-title" },
      make("h3", { id: "people-title" }, "A hundred patients like this"),
      make(
        "p",
        { class: "explained" },
        "Each figure is one of 100 patients started on the regimen. Who of them has which course is not known. In brackets the plausible range of each number.",
      ),
      make("div", { class: "pickers" }, this.first.element, this.second.element),
      this.arrays,
    );
  }

  open() {
    const { regimens, chosen } = this.context;
    this.first.chosen = chosen;
    const shown = [chosen, this.second.chosen].filter((place, i, all) => place >= 0 && all.indexOf(place) === i);
    this.arrays.replaceChildren(...shown.map((place) => this.#array(regimens[place])));
  }

  #array(regimen) {
    const { terms, own, regimens } = this.context;
    const parts = terms.whole(regimen);
    const primary = regimen.outcomes[terms.primary.name];
    const resection = regimen.outcomes[terms.resection.name];
    return make(
      "figure",
      { class: "hundred" },
      make("figcaption", {}, make("strong", {}, regimen.label), `, ${regimen.planned_weeks} weeks`),
      flagList(own[regimens.indexOf(regimen)].filter((flag) => flag.severity !== "info" && flag.status !== "unknown"), terms.text.severities),
      make(
        "div",
        { class: "pictured" },
        iconArray(parts, `${regimen.label}: ${parts.map(({ label, shown }) => `${shown} ${lower(label)}`).join(", ")}, of 100.`),
        make(
          "ul",
          { class: "key" },
          parts.map(({ state, label, shown, low, high }) =>
            make("li", { "data-state": state }, figure(state), make("span", {}, make("strong", {}, shown), ` ${lower(label)} `, spread(low, high))),
          ),
          make(
            "li",
            { class: "nested" },
            make("span", {}, `${terms.resection.label}: `, make("strong", {}, percent(resection.probability)), " ", spread(resection.low, resection.high)),
            make("span", {}, `of them ${lower(terms.primary.label)}: `, make("strong", {}, percent(primary.probability)), " ", spread(primary.low, primary.high)),
          ),
        ),
      ),
      make("p", { class: "sentence" }, inWords(terms, regimen)),
    );
  }
}

/** A hundred figures in ten rows; the shape tells the state as the colour does. */
export function iconArray(parts, label) {
  const states = parts.flatMap(({ state, count }) => Array(count).fill(state));
  const size = ROW * STEP;
  return draw(
    "svg",
    { class: "array", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label },
    states.map((state, i) =>
      draw("use", {
        href: `#person-${mark(state)}`,
        "data-state": state,
        x: (i % ROW) * STEP,
        y: Math.floor(i / ROW) * STEP,
        width: STEP,
        height: STEP,
      }),
    ),
  );
}

function spread(low, high) {
  return make("span", { class: "range" }, make("span", { class: "away" }, "plausible range "), `(${range(low, high)})`);
}

function figure(state) {
  return draw("svg", { class: "figure", viewBox: "0 0 20 20", "aria-hidden": "true", focusable: "false" }, draw("use", { href: `#person-${mark(state)}`, "data-state": state }));
}

// The page holds a symbol for each state.
const mark = (state) => state.replaceAll("_", "-");
