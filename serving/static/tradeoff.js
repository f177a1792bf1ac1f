// Conversion against complication, for all regimens: where each lies, how sure that is, and the same as a table.

import { icon, make } from "./element.js";
import { percent, range } from "./numbers.js";
import { scatter } from "./scatter.js";

const HEIGHT = 440;
const same = (a, b) => a.backbone === b.backbone && a.biologic === b.biologic && a.planned_cycles === b.planned_cycles;
const isBarred = ({ flags }) => flags.some(({ severity, status }) => severity === "contraindicated" && status !== "unknown");

export class TradeoffView {
  /** @param {object} context what is shared by the views of one answer */
  constructor(context) {
    this.context = context;
    this.ranges = make("input", { type: "checkbox", id: "tradeoff-ranges", checked: true, onchange: () => this.#draw() });
    this.everyone = make("input", { type: "checkbox", id: "tradeoff-every", onchange: () => this.#draw() });
    this.picture = make("div", { class: "picture" });
    this.table = make("div", {});
    this.element = make(
      "section",
      { class: "card", "aria-labelledby": "tradeoff-title" },
      make("h3", { id: "tradeoff-title" }, "Conversion against complications, all regimens"),
      make(
        "p",
        { class: "explained" },
        "Across: the chance that all liver disease is removed. Up: the chance of having liver surgery with a major complication, counted among all who start, operated or not. ",
        "More surgery brings more of both, so up and to the right is no judgement.",
      ),
      make(
        "p",
        { class: "switches" },
        make("label", {}, this.ranges, " Ranges of the chosen regimens"),
        make("label", {}, this.everyone, " and of all others"),
      ),
      this.picture,
      this.table,
    );
    new ResizeObserver(() => this.#draw()).observe(this.picture);
  }

  async open() {
    const { regimens, asked, service } = this.context;
    if (this.all) return;
    this.all = regimens;
    this.#fill();
    try {
      const answer = await service.post("predict", { ...asked, regimens: this.#others() });
      const more = answer.regimens.filter((regimen) => !regimens.some((mine) => same(mine, regimen)));
      this.all = [...regimens, ...more.sort((a, b) => a.label.toLowerCase().localeCompare(b.label.toLowerCase()))];
      this.#fill();
    } catch (error) {
      this.all = null;
      this.table.prepend(make("p", { class: "note error" }, `The other regimens were not answered. ${error.message}`));
    }
  }

  /** Every regimen of the catalogue, each as long as the board plans its backbone. */
  #others() {
    const { catalogue, terms } = this.context;
    return catalogue.map((regimen) => terms.asked(regimen));
  }

  #dots() {
    const { terms, regimens } = this.context;
    return this.all.map((regimen, i) => ({
      number: i + 1,
      regimen,
      chosen: regimens.includes(regimen),
      barred: isBarred(regimen),
      x: regimen.outcomes[terms.primary.name],
      y: terms.state(regimen, terms.with),
    }));
  }

  #fill() {
    this.#draw();
    const { terms } = this.context;
    const head = ["No.", "Regimen", terms.primary.label, terms.text.states[terms.with], "Contraindicated"];
    const cell = (title, ...content) => make("td", { role: "cell", "data-title": title }, content);
    this.table.replaceChildren(
      make(
        "table",
        { class: "twin", role: "table" },
        make("caption", {}, "The same as a table, of 100 who start: the estimate and its plausible range. The chosen regimens come first."),
        make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, head.map((title) => make("th", { role: "columnheader", scope: "col" }, title)))),
        make(
          "tbody",
          { role: "rowgroup" },
          this.#dots().map(({ number, regimen, chosen, barred, x, y }) =>
            make(
              "tr",
              { role: "row", class: chosen ? "chosen" : null },
              cell(head[0], String(number)),
              make("th", { role: "rowheader", scope: "row" }, regimen.label, make("span", { class: "weeks" }, `, ${regimen.planned_weeks} weeks${chosen ? ", chosen" : ""}`)),
              cell(head[2], `${percent(x.probability)} (${range(x.low, x.high)})`),
              cell(head[3], `${percent(y.probability)} (${range(y.low, y.high)})`),
              cell(head[4], barred ? [icon("contraindicated"), " Yes"] : "No flag"),
            ),
          ),
        ),
      ),
    );
  }

  #draw() {
    const width = Math.min(860, this.picture.clientWidth);
    if (!this.all || width < 200) return;
    this.everyone.disabled = !this.ranges.checked;
    const { terms } = this.context;
    const shown = (dot) => this.ranges.checked && (dot.chosen || this.everyone.checked);
    this.picture.replaceChildren(
      scatter(this.#dots(), {
        width,
        height: Math.min(HEIGHT, Math.max(320, width * 0.75)),
        titles: [width < 420 ? terms.primary.label : `${terms.primary.label} within ${terms.window}`, terms.text.states[terms.with]],
        ranges: shown,
        label: `${this.all.length} regimens by two chances; the table below gives the same numbers.`,
      }),
      make(
        "ul",
        { class: "scatter-key" },
        make("li", {}, make("span", { class: "sample chosen", "aria-hidden": "true" }), " chosen"),
        make("li", {}, make("span", { class: "sample", "aria-hidden": "true" }), " other"),
        make("li", {}, make("span", { class: "sample barred", "aria-hidden": "true" }), " contraindicated for this patient"),
        make("li", {}, make("span", { class: "sample line", "aria-hidden": "true" }), " plausible range"),
      ),
    );
  }
}
