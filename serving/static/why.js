// Why a number is what it is: what each input moves it by, and what it could become if more were known.

import { intervalBar, signedBar } from "./bars.js";
import { make } from "./element.js";
import { percent, points, printed, range } from "./numbers.js";
import { RegimenPicker } from "./picker.js";
import { lower } from "./terms.js";

const MOST = 8;
const MOST_UNKNOWN = 6;
const LEAST = 0.0005;

/** Asks the service to explain, and remembers what it said. */
export class Explanations {
  constructor(service, patient, terms) {
    this.ask = (body) => service.post("explain", { patient, ...body });
    this.terms = terms;
    this.known = new Map();
  }

  of(regimen, outcome) {
    const body = { regimen: this.terms.asked(regimen), outcome: outcome.name };
    const key = JSON.stringify(body);
    if (!this.known.has(key)) {
      const asked = this.ask(body);
      asked.catch(() => this.known.delete(key));
      this.known.set(key, asked);
    }
    return this.known.get(key);
  }
}

export class WhyView {
  /** @param {object} context what is shared by the views of one answer */
  constructor(context) {
    this.context = context;
    const { regimens, terms } = context;
    this.regimen = new RegimenPicker("Regimen", "why-regimen", regimens, context.chosen, (place) => context.choose(place));
    const options = terms.outcomes.map((outcome, i) => make("option", { value: i, selected: outcome === terms.primary }, titled(outcome)));
    this.outcome = make("select", { class: "box", id: "why-outcome", onchange: () => this.open() }, options);
    this.shown = make("div", { class: "shown", "aria-live": "polite" });
    this.element = make(
      "section",
      { class: "card", "aria-labelledby": "why-title" },
      make("h3", { id: "why-title" }, "Why this estimate"),
      make("p", { class: "explained" }, make("strong", {}, "Association, not cause: "), "changing an input does not change the patient. Points are percentage points of probability."),
      make(
        "div",
        { class: "pickers" },
        this.regimen.element,
        make("div", { class: "field" }, make("label", { class: "name", for: "why-outcome" }, "Outcome"), this.outcome),
      ),
      this.shown,
    );
  }

  async open() {
    const { regimens, chosen, explanations, terms } = this.context;
    this.regimen.chosen = chosen;
    const outcome = terms.outcomes[Number(this.outcome.value)];
    const wanted = `${chosen} ${outcome.name}`;
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    try {
      const explained = await explanations.of(regimens[chosen], outcome);
      if (this.wanted === wanted) this.shown.replaceChildren(...this.#result(explained, outcome));
    } catch (error) {
      this.wanted = null;
      this.shown.replaceChildren(make("p", { class: "note error" }, `No explanation was answered. ${error.message}`));
    }
  }

  #result(explained, outcome) {
    return [
      make("h4", {}, `${titled(outcome)}, under ${explained.regimen}`),
      ...drivers(explained),
      make("h4", {}, "What is not known, and what it could change"),
      ...unknown(explained, this.context.terms, MOST_UNKNOWN),
    ];
  }
}

function titled({ label, if_given: condition }) {
  return condition ? `${label}, ${condition}` : label;
}

/** The inputs that move an estimate, largest first; the small ones together. */
function drivers({ typical, probability, drivers: all }) {
  const shown = all.slice(0, MOST).filter(({ points: size }) => Math.abs(size) >= LEAST);
  const rest = all.slice(shown.length).reduce((sum, each) => sum + each.points, 0);
  const reach = Math.max(0.02, ...shown.map(({ points: size }) => Math.abs(size)));
  const entry = (label, value, size) =>
    make(
      "li",
      { class: "driver" },
      make("span", { class: "what" }, label, value ? [" ", make("span", { class: "value" }, printed(value))] : null),
      signedBar(size, reach),
      make(
        "span",
        { class: "points" },
        make("strong", {}, points(size)),
        make("span", { class: "away" }, ` points, ${size < 0 ? "lower" : "higher"}`),
      ),
    );
  const end = (label, value) =>
    make("li", { class: "driver end" }, make("span", { class: "what" }, label), intervalBar({ probability: value, low: 0, high: value }), make("span", { class: "points" }, make("strong", {}, `${percent(value)}%`)));
  if (!all.length) return [make("p", {}, `Nothing that was entered moves this estimate: it is that of a patient of whom nothing is known, ${percent(probability)}%.`)];
  return [
    make(
      "ul",
      { class: "drivers" },
      end("A patient of whom nothing is known", typical),
      shown.map(({ label, value, points: size }) => entry(label, value, size)),
      Math.abs(rest) >= LEAST ? entry("All other inputs together", "", rest) : null,
      end("This patient", probability),
    ),
  ];
}

/** What an estimate could become if a field were known, widest first. */
export function unknown({ unknown: open }, terms, most) {
  if (!open.length) return [make("p", {}, "Nothing that is not known would change it.")];
  const entry = ({ field, label, low, high }) =>
    make(
      "li",
      { class: "driver" },
      make("span", { class: "what" }, terms.fields.has(field) ? make("a", { href: `#f-${field}` }, label) : label),
      intervalBar({ probability: (low + high) / 2, low, high }, 0),
      make("span", { class: "points" }, `${range(low, high)}%`),
    );
  const left = open.length - most;
  return [
    make("p", { class: "explained" }, "Between which values the estimate would mostly lie, if only this were known: for a number from its 10th to its 90th centile, else for every answer. Each leads to its field."),
    make("ul", { class: "drivers" }, open.slice(0, most).map(entry)),
    left > 0 ? make("p", { class: "explained" }, `${left} more ${left === 1 ? "input changes" : "inputs change"} it less.`) : null,
  ].filter(Boolean);
}

/** The same for the head of an answer: the few that would change it most, in one sentence. */
export function asSentence({ unknown: open, regimen, probability }, outcome, terms) {
  const widest = open.slice(0, 3).filter(({ low, high }) => high - low >= 0.01);
  if (!widest.length) return null;
  const link = ({ field, label }) => (terms.fields.has(field) ? make("a", { href: `#f-${field}` }, label) : label);
  const parts = widest.map((each, i) => [i ? "; " : "", link(each), ` (${range(each.low, each.high)}%)`]);
  return make("p", { class: "most" }, make("strong", {}, "Knowing more would change most: "), parts, `. In brackets: what ${percent(probability)}% would mostly become, for ${lower(outcome.label)} under ${regimen}.`);
}
