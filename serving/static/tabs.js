// Views of one answer, one at a time, after the tab pattern: arrows move between tabs, Tab goes into the view.

import { make } from "./element.js";

export class Tabs {
  /**
   * @param {string} label what the views are of
   * @param {Array<{id: string, title: string, element: Element, open: ?Function}>} parts
   * @param {?string} start the view that is open at first; the first of all when there is no such view
   */
  constructor(label, parts, start) {
    this.parts = parts;
    this.tabs = parts.map(({ id, title }) =>
      make("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`, onclick: () => this.open(id) }, title),
    );
    this.panels = parts.map(({ id, element }) =>
      make("div", { role: "tabpanel", id: `panel-${id}`, class: "panel", "aria-labelledby": `tab-${id}`, tabindex: 0 }, element),
    );
    const list = make("div", { role: "tablist", class: "tabs", "aria-label": label, onkeydown: (event) => this.#key(event) }, this.tabs);
    this.elements = [list, ...this.panels];
    this.open(parts.some(({ id }) => id === start) ? start : parts[0].id);
  }

  /** Open a view, with the focus on its tab when wanted. */
  open(id, focus = false) {
    this.current = id;
    this.parts.forEach((part, i) => {
      const chosen = part.id === id;
      this.tabs[i].setAttribute("aria-selected", String(chosen));
      this.tabs[i].tabIndex = chosen ? 0 : -1;
      this.panels[i].hidden = !chosen;
      if (chosen) part.open?.();
      if (chosen && focus) this.tabs[i].focus();
    });
  }

  #key(event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const at = this.parts.findIndex(({ id }) => id === this.current);
    const last = this.parts.length - 1;
    const to = { Home: 0, End: last }[event.key] ?? (event.key in steps ? (at + steps[event.key] + last + 1) % (last + 1) : null);
    if (to === null) return;
    event.preventDefault();
    this.open(this.parts[to].id, true);
  }
}
