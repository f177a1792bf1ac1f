// A labelled list of the regimens of an answer.

import { make } from "./element.js";

export class RegimenPicker {
  /**
   * @param {string} label
   * @param {string} id
   * @param {Array} regimens in the order in which they are shown
   * @param {number} chosen place of the one that is chosen at first; -1 with `none`
   * @param {Function} changed called with the place of the chosen one
   * @param {?string} none what stands for no regimen, when none may be chosen
   */
  constructor(label, id, regimens, chosen, changed, none = null) {
    const options = regimens.map((regimen, i) => make("option", { value: i, selected: i === chosen }, regimenName(regimen, regimens)));
    if (none) options.unshift(make("option", { value: -1, selected: chosen < 0 }, none));
    this.select = make("select", { class: "box", id, onchange: () => changed(this.chosen) }, options);
    this.element = make("div", { class: "field" }, make("label", { class: "name", for: id }, label), this.select);
  }

  get chosen() {
    return Number(this.select.value);
  }

  set chosen(place) {
    this.select.value = String(place);
  }
}

/** A regimen's name, with its cycles when another has the same. */
export function regimenName({ label, planned_cycles: cycles }, regimens) {
  const alone = regimens.filter((other) => other.label === label).length === 1;
  return alone ? label : `${label}, ${cycles} cycles`;
}
