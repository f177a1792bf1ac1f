// An answer as the board reads it: regimens in rows, flags above numbers, every number in words too.

import { intervalBar, statesBar } from "./bars.js";
import { icon, make } from "./element.js";
import { flagList, splitFlags } from "./flags.js";
import { people, percent, range, single } from "./numbers.js";

const lower = (text) => text.charAt(0).toLowerCase() + text.slice(1);

/** Writes answers, told by the page what outcomes there are and which parts they play. */
export class AnswerView {
  constructor({ outcomes, parts, fields, text }) {
    this.text = text;
    this.fields = new Map(fields.map((field) => [field.name, field]));
    this.outcomes = outcomes;
    const playing = (part) => outcomes.find((outcome) => outcome.part === part);
    this.primary = playing(parts.primary);
    this.resection = playing(parts.resection);
    this.complication = playing(parts.complication);
    this.window = this.primary.window.replace(/ from .*/, "");
  }

  /**
   * @param {object} answer what `POST /predict` answered
   * @param {object} entered `values`: label and text of each input; `isPlanned`: tells the planned regimen
   * @returns {Array<Element>}
   */
  show(answer, { values, isPlanned }) {
    const place = (regimen) => [isPlanned(regimen) ? 0 : 1, regimen.label.toLowerCase()];
    const regimens = [...answer.regimens].sort((a, b) => {
      const [mine, theirs] = [place(a), place(b)];
      return mine[0] - theirs[0] || mine[1].localeCompare(theirs[1]) || a.planned_weeks - b.planned_weeks;
    });
    const { shared, own } = splitFlags(regimens);
    return [
      this.#warnings(answer.warnings),
      shared.length
        ? make("section", { class: "card shared" }, make("h3", {}, "For every regimen shown"), flagList(shared, this.text.severities))
        : null,
      this.#table(regimens, own, isPlanned),
      this.#legend(),
      this.#assumed(answer.assumed),
      this.#entered(values),
      this.#provenance(answer),
    ].filter(Boolean);
  }

  #warnings(warnings) {
    if (!warnings.length) return null;
    const entry = ({ severity, field, text }) =>
      make(
        "li",
        { class: `flag ${severity}` },
        icon(severity),
        make("p", {}, make("strong", {}, this.text.severities[severity]), " ", text, " ", field ? this.#link(field) : null),
      );
    return make("ul", { class: "flags warnings", "aria-label": "About this estimate" }, warnings.map(entry));
  }

  #link(field) {
    return this.fields.has(field) ? make("a", { href: `#f-${field}` }, `Check ${lower(this.fields.get(field).label)}`) : null;
  }

  #table(regimens, own, isPlanned) {
    const titles = [
      ["primary", `${this.primary.label} within ${this.window}`],
      ["course", "Course of 100 patients like this"],
      ["resected", "If resected"],
    ];
    // The roles are said because the layout of the rows takes them from a table in some browsers.
    const head = titles.map(([id, title]) => make("th", { id: `column-${id}`, role: "columnheader", scope: "col" }, title));
    return make(
      "table",
      { class: "regimens", role: "table" },
      make(
        "caption",
        {},
        "Estimated chance if started on each regimen. The planned regimen comes first, then the alphabet; the order is no ranking.",
      ),
      make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, head)),
      regimens.map((regimen, row) => this.#regimen(regimen, own[row], `regimen-${row}`, titles, isPlanned(regimen))),
    );
  }

  #regimen(regimen, flags, id, titles, planned) {
    const cells = [this.#primaryCell(regimen), this.#courseCell(regimen), this.#resectedCell(regimen)];
    const cell = (content, about, extra = {}) =>
      make("td", { role: "cell", headers: `${id} ${about}`.trim(), ...extra }, content);
    const listed = flagList(flags, this.text.severities, ` for ${regimen.label}`);
    return make(
      "tbody",
      { role: "rowgroup", class: "card regimen" },
      make("tr", { role: "row", class: "name" }, this.#name(regimen, id, planned)),
      listed.length ? make("tr", { role: "row", class: "flagged" }, cell(listed, "", { colspan: 3 })) : null,
      make(
        "tr",
        { role: "row", class: "numbers" },
        cells.map((content, i) =>
          cell([make("span", { class: "cell-title", "aria-hidden": "true" }, titles[i][1]), content], `column-${titles[i][0]}`),
        ),
      ),
      make("tr", { role: "row", class: "words" }, cell([this.#sentence(regimen), this.#more(regimen)], "", { colspan: 3 })),
    );
  }

  #name({ label, planned_cycles: cycles, planned_weeks: weeks, support }, id, planned) {
    const count = cycles === 1 ? "1 cycle" : `${cycles} cycles`;
    return make(
      "th",
      { id, role: "rowheader", scope: "rowgroup", colspan: 3 },
      make("span", { class: "label" }, label),
      planned ? make("span", { class: "tag" }, "Planned") : null,
      make("span", { class: "plan" }, `${count}, ${weeks} weeks`),
      make("span", { class: `support ${support.level}` }, `Support: ${lower(this.text.support[support.level])}`),
    );
  }

  #primaryCell({ outcomes }) {
    const outcome = outcomes[this.primary.name];
    return [
      make("p", { class: "large" }, make("strong", {}, `${percent(outcome.probability)}%`)),
      intervalBar(outcome),
      make("p", { class: "range" }, `plausible range ${range(outcome.low, outcome.high)}%`),
    ];
  }

  #courseCell({ states }) {
    const parts = this.#states(states);
    return [
      statesBar(parts),
      make(
        "ul",
        { class: "course" },
        parts.map(([state, , shown]) => make("li", { "data-state": state }, make("strong", {}, shown), make("span", {}, ` ${lower(this.text.states[state])}`))),
      ),
    ];
  }

  // Whole numbers that add up to 100: the last of them is what the others leave.
  #states(states) {
    const order = Object.keys(this.text.states).filter((state) => state in states);
    const whole = order.map((state) => Math.round(100 * states[state]));
    whole[0] += 100 - whole.reduce((sum, each) => sum + each, 0);
    return order.map((state, i) => [state, states[state], 100 * states[state] < 1 ? "<1" : String(whole[i])]);
  }

  #resectedCell({ outcomes }) {
    const conditional = this.outcomes.filter((outcome) => outcome.given === this.resection.name && outcomes[outcome.name]);
    const groups = [...new Set(conditional.map((outcome) => outcome.group))];
    return groups.map((group) => [
      make("p", { class: "group-title" }, this.text.outcome_groups[group]),
      make("ul", { class: "risks" }, conditional.filter((each) => each.group === group).map((each) => risk(each, outcomes[each.name]))),
    ]);
  }

  #sentence({ label, outcomes, states }) {
    const primary = outcomes[this.primary.name];
    const resected = outcomes[this.resection.name];
    const major = outcomes[this.complication.name].probability * resected.probability;
    const have = (probability) => (single(probability) ? "has" : "have");
    const not = Object.keys(this.text.states).at(-1);
    return make(
      "p",
      { class: "sentence" },
      `Of 100 patients like this started on ${label}, ${people(primary.probability)} (${range(primary.low, primary.high)}) `,
      `${have(primary.probability)} ${lower(this.primary.label)} within ${this.window}; of the ${people(resected.probability)} who `,
      `${have(resected.probability)} ${lower(this.resection.label)}, ${people(major)} ${have(major)} a ${lower(this.complication.label)}; `,
      `${people(states[not])} ${single(states[not]) ? "is" : "are"} not operated on.`,
    );
  }

  #more({ label, outcomes, support }) {
    const rest = this.outcomes.filter((outcome) => outcome.given === null && outcomes[outcome.name]);
    const entry = (outcome) =>
      make("li", {}, risk(outcome, outcomes[outcome.name], "div"), make("p", {}, `${outcome.definition}. ${outcome.window}.`));
    return make(
      "details",
      { class: "more" },
      make("summary", {}, "Other estimates and definitions", make("span", { class: "away" }, ` for ${label}`)),
      make("ul", { class: "defined" }, rest.map(entry)),
      make("p", {}, `Support: ${support.text}`),
    );
  }

  #legend() {
    return make(
      "p",
      { class: "legend" },
      "The light band is the plausible range (90%), the mark the estimate; ranges that overlap do not say that two regimens are alike. ",
      "If resected: a description of those who have surgery under each regimen, not an effect of it. Associations, not causes.",
    );
  }

  #assumed(assumed) {
    if (!assumed.length) return null;
    const count = assumed.length === 1 ? "1 input was" : `${assumed.length} inputs were`;
    return make(
      "details",
      { class: "card assumed" },
      make("summary", {}, make("h3", {}, `${count} not known; this was assumed`)),
      make(
        "dl",
        {},
        assumed.map(({ field, label, assumed: used }) =>
          make("div", {}, make("dt", {}, this.fields.has(field) ? make("a", { href: `#f-${field}` }, label) : label), make("dd", {}, used)),
        ),
      ),
    );
  }

  #entered(values) {
    const entry = ([label, shown]) => make("div", {}, make("dt", {}, label), make("dd", {}, shown));
    return make(
      "details",
      { class: "card entered" },
      make("summary", {}, make("h3", {}, "What was entered")),
      make("dl", {}, values.map(entry)),
    );
  }

  #provenance({ prediction_id: id, model }) {
    const basis = this.text.bases[model.simulated ? "simulated" : (model.trained_on.kind ?? model.trained_on)];
    const facts = [
      ["Rests on", basis.title],
      ["Data", model.trained_on.text],
      ["Model", `${model.name}, ${model.version} (${model.learner})`],
      ["Specification", model.spec_digest.slice(0, 12)],
      ["Prediction", id],
      ["Time", new Date().toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })],
    ];
    const entry = ([label, shown]) => (shown ? make("div", {}, make("dt", {}, label), make("dd", {}, shown)) : null);
    return make(
      "details",
      { class: "card provenance" },
      make("summary", {}, make("h3", {}, "Where these numbers come from")),
      make("p", {}, basis.text),
      make("p", {}, make("a", { href: "evidence" }, "The published effects behind them, with their studies")),
      make("dl", {}, facts.map(entry)),
    );
  }
}

function risk(outcome, value, tag = "li") {
  return make(
    tag,
    { class: "risk" },
    make("span", { class: "what" }, outcome.label),
    make("span", { class: "bar-cell" }, intervalBar(value, 2.6)),
    make("strong", {}, `${percent(value.probability)}%`),
    make("span", { class: "range" }, make("span", { class: "away" }, "plausible range "), range(value.low, value.high)),
  );
}
