// Two regimens against each other: the difference with its own range, because ranges that overlap say little.

import { differenceBar } from "./bars.js";
import { make } from "./element.js";
import { beyond, flagList } from "./flags.js";
import { percent, points } from "./numbers.js";
import { RegimenPicker, regimenName } from "./picker.js";

export class PairView {
  /** @param {object} context what is shared by the views of one answer */
  constructor(context) {
    this.context = context;
    const { regimens } = context;
    const again = () => this.open();
    this.first = new RegimenPicker("First", "pair-first", regimens, 0, again);
    this.second = new RegimenPicker("Second", "pair-second", regimens, Math.min(1, regimens.length - 1), again);
    this.shown = make("div", { class: "shown", "aria-live": "polite" });
    this.element = make(
      "section",
      { class: "card", "aria-labelledby": "pair-title" },
      make("h3", { id: "pair-title" }, "Two regimens against each other"),
      make(
        "p",
        { class: "explained" },
        "First minus second, in percentage points, for this patient. What both share in doubt cancels, so this range (90%), and not the overlap of two ranges, tells how far apart they may be. It holds the doubt that the model knows of: a range that leaves out zero is no proof that they differ. ",
        "Complications among the resected are left out: those resected under one regimen are not those resected under another.",
      ),
      make("div", { class: "pickers" }, this.first.element, this.second.element),
      this.shown,
    );
  }

  async open() {
    const { regimens, asked, service, terms } = this.context;
    const pair = [this.first.chosen, this.second.chosen];
    const key = pair.join();
    if (key === this.key) return;
    this.key = key;
    if (pair[0] === pair[1]) {
      const told = regimens.length > 1 ? "Choose two different regimens." : "Tick a second regimen and press Estimate again.";
      this.shown.replaceChildren(make("p", { class: "note question" }, told));
      return;
    }
    const chosen = pair.map((place) => regimens[place]);
    try {
      const body = { patient: asked.patient, profile: asked.profile, regimens: chosen.map((regimen) => terms.asked(regimen)) };
      const compared = await service.post("compare", body);
      if (this.key === key) this.shown.replaceChildren(...this.#result(compared, chosen));
    } catch (error) {
      this.key = null;
      this.shown.replaceChildren(make("p", { class: "note error" }, `The comparison was not answered. ${error.message}`));
    }
  }

  #result({ differences, regimens: compared }, chosen) {
    const { terms, regimens } = this.context;
    const [first, second] = chosen.map((regimen) => regimenName(regimen, regimens));
    const rows = this.#rows(chosen).filter(({ name }) => differences[name]);
    const largest = Math.max(...rows.map(({ name }) => Math.max(Math.abs(differences[name].low), Math.abs(differences[name].high))));
    const reach = Math.max(0.1, Math.ceil(largest * 10) / 10);
    const headline = differences[terms.primary.name];
    const [words, reach90] = headline.words.split("; ");
    return [
      make("div", { class: "sides" }, compared.map((regimen, i) => this.#side(["First", "Second"][i], [first, second][i], regimen))),
      make("h4", {}, "First minus second"),
      make(
        "p",
        { class: "headline" },
        `${terms.primary.label} within ${terms.window}: `,
        make("strong", {}, words),
        between(headline, first, second),
        reach90 ? `; ${reach90}.` : ".",
      ),
      make(
        "table",
        { class: "pair", role: "table" },
        make("caption", {}, `${first} minus ${second}; the bars reach from −${Math.round(100 * reach)} to +${Math.round(100 * reach)} points, the line is no difference.`),
        make(
          "thead",
          { role: "rowgroup" },
          make("tr", { role: "row" }, ["", "First", "Second", "Difference", "Range of the difference", "In words"].map((title) => make("th", { scope: "col", role: "columnheader" }, title || make("span", { class: "away" }, "Estimate")))),
        ),
        make("tbody", { role: "rowgroup" }, rows.map((row) => this.#row(row, differences[row.name], reach))),
      ),
    ];
  }

  /** What to know of a regimen before its numbers. */
  #side(place, name, { support, flags }) {
    const { terms, shared } = this.context;
    return make(
      "section",
      { class: "side", "aria-label": `${place}: ${name}` },
      make("h4", {}, `${place}: ${name}`),
      flagList(beyond(flags, shared), terms.text.severities, ` for ${name}`),
      make("p", { class: "explained" }, `Support: ${support.text}`),
    );
  }

  #rows(chosen) {
    const { terms } = this.context;
    const outcomes = terms.outcomes
      .filter((outcome) => outcome.given === null && chosen.every((regimen) => regimen.outcomes[outcome.name]))
      .map(({ name, label }) => ({ name, label, values: chosen.map((regimen) => regimen.outcomes[name].probability) }));
    const states = [terms.without, terms.with, terms.not].map((name) => ({
      name,
      label: terms.text.states[name],
      values: chosen.map((regimen) => regimen.states[name]),
    }));
    const main = outcomes.filter(({ name }) => name === terms.primary.name);
    return [...main, ...states, ...outcomes.filter(({ name }) => name !== terms.primary.name)];
  }

  #row({ label, values }, value, reach) {
    const cell = (title, content) => make("td", { role: "cell", "data-title": title }, content);
    return make(
      "tr",
      { role: "row", class: value.words.startsWith("no") ? "none" : "some" },
      make("th", { scope: "row", role: "rowheader" }, label),
      cell("First", `${percent(values[0])}%`),
      cell("Second", `${percent(values[1])}%`),
      cell("Difference", make("strong", {}, points(value.difference))),
      cell("Range of the difference", [differenceBar(value, reach), make("span", { class: "range" }, `${points(value.low)} to ${points(value.high)}`)]),
      cell("In words", value.words),
    );
  }
}

function between({ words }, first, second) {
  return words.startsWith("no") ? ` between ${first} and ${second}` : ` under ${first} than under ${second}`;
}
