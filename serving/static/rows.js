// The regimens in rows: flags above numbers, every number in words too.

import { intervalBar, pointer, statesBar } from "./bars.js";
import { make } from "./element.js";
import { flagList } from "./flags.js";
import { people, percent, range, single } from "./numbers.js";
import { lower } from "./terms.js";

/** Writes the table that compares regimens. */
export class RegimenRows {
  /**
   * @param {Terms} terms
   * @param {object} options `isPlanned` tells the planned regimen; `average` the average patient; `board` is the
   *   board's own estimate, as regimen and probability, or null; `open` opens another view for a regimen
   */
  constructor(terms, { isPlanned, average, board, open }) {
    this.terms = terms;
    this.average = average;
    this.isPlanned = isPlanned;
    this.board = board;
    this.open = open;
  }

  /** The table; `own` holds each regimen's own flags. */
  table(regimens, own) {
    const { terms } = this;
    const titles = [
      ["primary", `${terms.primary.label} within ${terms.window}`],
      ["course", "Of 100 patients like this"],
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
      regimens.map((regimen, row) => this.#regimen(regimen, own[row], row, titles)),
    );
  }

  #regimen(regimen, flags, row, titles) {
    const id = `regimen-${row}`;
    const cells = [this.#primary(regimen), this.#course(regimen), this.#resected(regimen)];
    const cell = (content, about, extra = {}) =>
      make("td", { role: "cell", headers: `${id} ${about}`.trim(), ...extra }, content);
    const listed = flagList(flags, this.terms.text.severities, ` for ${regimen.label}`);
    return make(
      "tbody",
      { role: "rowgroup", class: "card regimen" },
      make("tr", { role: "row", class: "name" }, this.#name(regimen, id)),
      listed.length ? make("tr", { role: "row", class: "flagged" }, cell(listed, "", { colspan: 3 })) : null,
      make(
        "tr",
        { role: "row", class: "numbers" },
        cells.map((content, i) =>
          cell([make("span", { class: "cell-title", "aria-hidden": "true" }, titles[i][1]), content], `column-${titles[i][0]}`, {
            class: `at-${titles[i][0]}`,
          }),
        ),
      ),
      make("tr", { role: "row", class: "words" }, cell([this.#sentence(regimen), this.#more(regimen, row)], "", { colspan: 3 })),
    );
  }

  #name(regimen, id) {
    const { label, planned_cycles: cycles, planned_weeks: weeks, support } = regimen;
    const count = cycles === 1 ? "1 cycle" : `${cycles} cycles`;
    return make(
      "th",
      { id, role: "rowheader", scope: "rowgroup", colspan: 3 },
      make("span", { class: "label" }, label),
      this.isPlanned(regimen) ? make("span", { class: "tag" }, "Planned") : null,
      make("span", { class: "plan" }, `${count}, ${weeks} weeks`),
      make("span", { class: `support ${support.level}` }, `Support: ${lower(this.terms.text.support[support.level])}`),
    );
  }

  #primary(regimen) {
    const value = regimen.outcomes[this.terms.primary.name];
    const average = this.average.of(regimen);
    return [
      make("p", { class: "large" }, make("strong", {}, `${percent(value.probability)}%`)),
      make("p", { class: "range" }, `plausible range ${range(value.low, value.high)}%`),
      make("div", { class: "against" }, intervalBar(value, 1.6), average === null ? null : pointer(average)),
      average === null ? null : make("p", { class: "average" }, pointer(), make("span", {}, ` average patient ${percent(average)}%`)),
      this.#judged(regimen)
        ? make("p", { class: "board" }, make("strong", {}, `${percent(this.board.probability)}%`), " the board's own estimate")
        : null,
    ];
  }

  /** Whether the board's own estimate is of this regimen. */
  #judged(regimen) {
    const asked = (each) => JSON.stringify(this.terms.asked(each));
    return this.board !== null && asked(this.board.regimen) === asked(regimen);
  }

  #course(regimen) {
    const parts = this.terms.whole(regimen);
    const line = ({ state, label, shown, probability, low, high }) =>
      make(
        "li",
        { class: "span", "data-state": state },
        make("span", { class: "what" }, label),
        intervalBar({ probability, low, high }, 0.8),
        make(
          "span",
          { class: "shown" },
          make("strong", {}, shown),
          " ",
          make("span", { class: "range" }, make("span", { class: "away" }, "plausible range "), range(low, high)),
        ),
      );
    return [
      statesBar(parts),
      make("div", { class: "axis", "aria-hidden": "true" }, [0, 25, 50, 75, 100].map((tick) => make("span", {}, String(tick)))),
      make("ul", { class: "course" }, parts.map(line)),
    ];
  }

  #resected({ outcomes }) {
    const { terms } = this;
    const conditional = terms.outcomes.filter((outcome) => outcome.given === terms.resection.name && outcomes[outcome.name]);
    const groups = [...new Set(conditional.map((outcome) => outcome.group))];
    return make(
      "div",
      { class: "groups" },
      groups.map((group) =>
        make(
          "div",
          {},
          make("p", { class: "group-title" }, terms.text.outcome_groups[group]),
          make("ul", { class: "risks" }, conditional.filter((each) => each.group === group).map((each) => risk(each, outcomes[each.name]))),
        ),
      ),
    );
  }

  #sentence(regimen) {
    return make("p", { class: "sentence" }, inWords(this.terms, regimen));
  }

  #more(regimen, row) {
    const { label, outcomes, support } = regimen;
    const all = this.terms.outcomes.filter((outcome) => outcomes[outcome.name]);
    const defined = (outcome) => `${outcome.definition}. ${outcome.window}.`;
    const entry = (outcome) => make("li", {}, risk(outcome, outcomes[outcome.name], "div"), make("p", {}, defined(outcome)));
    // Their estimates stand above.
    const meant = (outcome) => make("li", {}, make("p", {}, make("strong", {}, `${outcome.label}: `), defined(outcome)));
    const whose = make("span", { class: "away" }, ` for ${label}`);
    const leads = [
      ["people", "As 100 patients"],
      ["why", "Why"],
    ];
    return [
      make(
        "p",
        { class: "leads" },
        leads.map(([view, title]) =>
          make("button", { type: "button", class: "lead-to", onclick: () => this.open(view, row) }, title, whose.cloneNode(true)),
        ),
      ),
      make(
        "details",
        { class: "more" },
        make("summary", {}, "Other estimates and definitions", whose),
        make("ul", { class: "defined" }, all.filter(({ given }) => given === null).map(entry), all.filter(({ given }) => given !== null).map(meant)),
        make("p", {}, `Support: ${support.text}`),
      ),
    ];
  }
}

/** One regimen's estimates as natural frequencies, in a sentence. */
export function inWords(terms, regimen) {
  const { label, outcomes } = regimen;
  const primary = outcomes[terms.primary.name];
  const resected = outcomes[terms.resection.name];
  const [complicated, not] = [terms.with, terms.not].map((name) => terms.state(regimen, name));
  const have = ({ probability }) => (single(probability) ? "has" : "have");
  const count = (value) => `${people(value.probability)} (${range(value.low, value.high)})`;
  return (
    `Of 100 patients like this started on ${label}, ${count(primary)} ${have(primary)} ${lower(terms.primary.label)} ` +
    `within ${terms.window}; of the ${people(resected.probability)} who ${have(resected)} ${lower(terms.resection.label)}, ` +
    `${count(complicated)} ${have(complicated)} a ${lower(terms.complication.label)}; ` +
    `${count(not)} ${single(not.probability) ? "is" : "are"} not operated on.`
  );
}

/** One outcome with its bar, estimate and range. */
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
