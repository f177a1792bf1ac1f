// An answer as the board reads it: remarks and flags first, then its views, each for the same regimens.

import { AveragePatient } from "./average.js";
import { icon, make } from "./element.js";
import { flagList, splitFlags } from "./flags.js";
import { printed } from "./numbers.js";
import { PairView } from "./pair.js";
import { PeopleView } from "./people.js";
import { RegimenRows } from "./rows.js";
import { SourcesView } from "./sources.js";
import { Tabs } from "./tabs.js";
import { lower } from "./terms.js";
import { TradeoffView } from "./tradeoff.js";
import { asSentence, Explanations, WhyView } from "./why.js";

/** The planned regimen first, then by the alphabet: never by a number. */
export function inOrder(regimens, isPlanned) {
  const place = (regimen) => [isPlanned(regimen) ? 0 : 1, regimen.label.toLowerCase()];
  return [...regimens].sort((a, b) => {
    const [mine, theirs] = [place(a), place(b)];
    return mine[0] - theirs[0] || mine[1].localeCompare(theirs[1]) || a.planned_weeks - b.planned_weeks;
  });
}

export class AnswerView {
  /**
   * @param {Terms} terms
   * @param {Service} service
   */
  constructor(terms, service) {
    this.terms = terms;
    this.service = service;
    this.tabs = null;
  }

  /** The view that is open. */
  get current() {
    return this.tabs?.current ?? null;
  }

  /**
   * @param {object} answer what `POST /predict` answered
   * @param {object} about `asked`: the request; `values`: label and text of each input; `isPlanned`: tells the planned
   *   regimen; `catalogue`: every regimen; `card`: what `GET /model` tells of the model that answered, or null;
   *   `board`: the board's own estimate, as regimen and probability, or null; `start`: the view that is open at first
   * @returns {Array<Element>}
   */
  show(answer, { asked, values, isPlanned, catalogue, card, board, start }) {
    const { terms, service } = this;
    const regimens = inOrder(answer.regimens, isPlanned);
    const { shared, own } = splitFlags(regimens);
    const explanations = new Explanations(service, asked.patient, terms);
    const average = new AveragePatient(card, terms);
    const stamp = new Date().toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
    const context = { answer, asked, regimens, shared, own, terms, service, explanations, catalogue, card, stamp, chosen: 0 };
    const views = {};
    const open = (view, place) => {
      context.chosen = place;
      this.tabs.open(view, true);
    };
    context.choose = (place) => {
      context.chosen = place;
      views[this.current].open();
    };
    const rows = new RegimenRows(terms, { isPlanned, average, open, board });
    const most = make("div", { class: "missing" });
    const compare = make("div", { class: "compared" }, most, rows.table(regimens, own), legend(average.told(regimens)), entered(values), this.#assumed(answer.assumed));
    Object.assign(views, { people: new PeopleView(context), pair: new PairView(context), tradeoff: new TradeoffView(context), why: new WhyView(context) });
    const titles = { people: "As 100 patients", pair: "Two regimens", tradeoff: "Trade-off", why: "Why" };
    this.tabs = new Tabs(
      "Views of the estimates",
      [
        { id: "rows", title: "Compare", element: compare },
        ...Object.entries(titles).map(([id, title]) => ({ id, title, element: views[id].element, open: () => views[id].open() })),
        { id: "sources", title: "Sources", element: new SourcesView(context).element },
      ],
      start,
    );
    // What prints is written at once; why the first regimen's estimate is what it is needs an answer of its own.
    views.people.open();
    views.why.open();
    this.#fillMost(most, explanations, regimens[0]);
    return [
      this.#warnings(answer.warnings),
      shared.length
        ? make("section", { class: "card shared" }, make("h3", {}, "For every regimen shown"), flagList(shared, terms.text.severities))
        : null,
      ...this.tabs.elements,
    ].filter(Boolean);
  }

  async #fillMost(place, explanations, regimen) {
    try {
      const sentence = asSentence(await explanations.of(regimen, this.terms.primary), this.terms.primary, this.terms);
      if (sentence) place.replaceChildren(sentence);
    } catch {
      // The view that explains says why; the estimates stand without it.
    }
  }

  #warnings(warnings) {
    if (!warnings.length) return null;
    const entry = ({ severity, field, text }) =>
      make(
        "li",
        { class: `flag ${severity}` },
        icon(severity),
        make("p", {}, make("strong", {}, this.terms.text.severities[severity]), " ", text, " ", field ? this.#link(field) : null),
      );
    return make("ul", { class: "flags warnings", "aria-label": "About this estimate" }, warnings.map(entry));
  }

  #link(field) {
    const { fields } = this.terms;
    return fields.has(field) ? make("a", { href: `#f-${field}` }, `Check ${lower(fields.get(field).label)}`) : null;
  }

  #assumed(assumed) {
    if (!assumed.length) return null;
    const { fields } = this.terms;
    const count = assumed.length === 1 ? "1 input was" : `${assumed.length} inputs were`;
    return make(
      "details",
      { class: "card assumed" },
      make("summary", {}, make("h3", {}, `${count} not known; this was assumed`)),
      make(
        "dl",
        {},
        assumed.map(({ field, label, assumed: used }) =>
          make("div", {}, make("dt", {}, fields.has(field) ? make("a", { href: `#f-${field}` }, label) : label), make("dd", {}, printed(used))),
        ),
      ),
    );
  }
}

function entered(values) {
  const entry = ([label, shown]) => make("div", {}, make("dt", {}, label), make("dd", {}, shown));
  return make("details", { class: "card entered" }, make("summary", {}, make("h3", {}, "What was entered")), make("dl", {}, values.map(entry)));
}

function legend(average) {
  return make(
    "p",
    { class: "legend" },
    make("span", { class: "drawn" }, "The light band is the plausible range (90%), the mark the estimate. "),
    average ? `${average} ` : null,
    "Ranges that overlap do not say that two regimens are alike. ",
    "If resected: a description of those who have surgery under each regimen, not an effect of it. Associations, not causes.",
  );
}
