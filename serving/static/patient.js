// The patient's part of the form: reads values, asks "are you sure", and shows what is wrong beside each field.

import { make } from "./element.js";

export class PatientForm {
  /**
   * @param {HTMLFormElement} form
   * @param {Array} fields what the page tells of each field
   */
  constructor(form, fields) {
    this.form = form;
    this.about = new Map(fields.map((field) => [field.name, field]));
    this.places = new Map([...form.querySelectorAll("[data-field]")].map((place) => [place.dataset.field, place]));
    form.addEventListener("change", (event) => this.#changed(event.target));
    // A wheel over a number that has the focus would change it unseen.
    form.addEventListener("wheel", (event) => event.target.type === "number" && event.target.blur(), { passive: true });
    this.refresh();
  }

  /** What was entered, by field; what is not known is left out. */
  values() {
    const known = [...this.places.keys()].map((name) => [name, this.#value(name)]);
    return Object.fromEntries(known.filter(([, value]) => value !== undefined));
  }

  /** What was entered, as label and text, in the order of the form. */
  entered() {
    return Object.keys(this.values()).map((name) => [this.about.get(name).label, this.#shown(name)]);
  }

  /** Where a field can be reached, or undefined when the form has no such field. */
  control(name) {
    const place = this.places.get(name);
    return place && (place.querySelector(`#f-${name}`) ?? place);
  }

  /** What the browser itself finds wrong: a text that is no number, a limit passed, a required field left out. */
  problems() {
    return [...this.places.keys()]
      .map((name) => [name, this.places.get(name).querySelector("input.box, select")])
      .filter(([, control]) => control && !control.disabled && !control.validity.valid)
      .map(([name, control]) => {
        const { label, allowed } = this.about.get(name);
        const { valueMissing, rangeUnderflow, rangeOverflow } = control.validity;
        const limit = rangeUnderflow ? "is below what is possible" : rangeOverflow ? "is above what is possible" : "does not fit";
        const what = valueMissing ? "is required" : limit;
        return { field: name, message: `${label} ${what}; allowed is ${allowed}.`, slip: this.#slip(name) };
      });
  }

  /** Show a message beside a field; `kind` is "error" or "question". */
  tell(name, kind, message, slip = null) {
    const place = this.places.get(name);
    const note = place.querySelector(".note");
    note.className = `note ${kind}`;
    note.hidden = false;
    note.replaceChildren(message);
    if (slip) note.append(" ", this.#conversion(name, slip));
    place.classList.toggle("wrong", kind === "error");
    place.closest("details").open = true;
    if (kind === "error") place.querySelector("input.box, select")?.setAttribute("aria-invalid", "true");
  }

  /** Take every message away and ask again what is out of the ordinary. */
  refresh() {
    for (const name of this.places.keys()) this.#ask(name);
    this.#count();
  }

  #changed(target) {
    const place = target.closest("[data-field]");
    if (!place) return;
    if (target.type === "checkbox" && !("special" in target.dataset)) this.#exclude(place, target);
    if (place.dataset.shape === "number") this.#special(place, target);
    this.#ask(place.dataset.field);
    this.#count();
  }

  #exclude(place, target) {
    const boxes = [...place.querySelectorAll("input")];
    const alone = (box) => "exclusive" in box.dataset;
    if (target.checked) {
      for (const box of boxes) if (box !== target && (alone(target) || alone(box))) box.checked = false;
    }
    if (!boxes.some((box) => box.checked)) boxes[0].checked = true; // "not known" is the first
  }

  #special(place, target) {
    const number = place.querySelector("input.box");
    const special = [...place.querySelectorAll("[data-special]")];
    const typed = special.find((box) => target === number && box.value === number.value);
    if (typed) typed.checked = true;
    const chosen = special.some((box) => box.checked);
    if (chosen) number.value = "";
    number.disabled = chosen;
  }

  #value(name) {
    const place = this.places.get(name);
    const parse = (control) => (control && control.value !== "" ? JSON.parse(control.value) : undefined);
    if (place.dataset.shape === "select") return parse(place.querySelector("select"));
    if (place.dataset.shape === "choice") return parse(place.querySelector("input:checked"));
    if (place.dataset.shape === "checks") {
      const chosen = [...place.querySelectorAll("input:checked")].map(parse).filter((code) => code !== undefined);
      return chosen.length ? chosen : undefined;
    }
    const special = parse(place.querySelector("[data-special]:checked"));
    const typed = place.querySelector("input.box").value;
    return special ?? (typed === "" ? undefined : Number(typed));
  }

  #shown(name) {
    const place = this.places.get(name);
    const chosen = [...place.querySelectorAll("input:checked, option:checked")];
    if (chosen.length) return chosen.map((each) => (each.label || each.closest("label").innerText).trim()).join(", ");
    return `${place.querySelector("input.box").value} ${this.about.get(name).unit}`.trim();
  }

  #ask(name) {
    const place = this.places.get(name);
    const note = place.querySelector(".note");
    note.hidden = true;
    note.replaceChildren();
    place.classList.remove("wrong");
    place.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
    const control = place.querySelector("input.box");
    if (!control || control.value === "") return;
    const { label, usual, unit } = this.about.get(name);
    const slip = this.#slip(name);
    const value = Number(control.value);
    if (!control.validity.valid) {
      this.tell(name, "error", this.problems().find((problem) => problem.field === name).message, slip);
    } else if (slip || value < usual[0] || value > usual[1]) {
      this.tell(name, "question", `${label} is usually ${usual[0]} to ${usual[1]} ${unit}; are you sure?`, slip);
    }
  }

  #slip(name) {
    const control = this.places.get(name).querySelector("input.box");
    if (!control || control.value === "") return null;
    const value = Number(control.value);
    const slip = this.about.get(name).slips.find(({ suspect: [low, high] }) => low <= value && value <= high);
    return slip ? { unit: slip.unit, value: Number((value * slip.multiply_by).toPrecision(6)) } : null;
  }

  #conversion(name, slip) {
    const use = () => {
      const control = this.control(name);
      control.value = slip.value;
      control.focus();
      control.dispatchEvent(new Event("change", { bubbles: true }));
    };
    const label = `If it is in ${slip.unit}: use ${slip.value} ${this.about.get(name).unit}`;
    return make("button", { type: "button", class: "convert", onclick: use }, label);
  }

  #count() {
    const known = this.values();
    for (const group of this.form.querySelectorAll("details.group")) {
      const names = [...group.querySelectorAll("[data-field]")].map((place) => place.dataset.field);
      const entered = names.filter((name) => name in known).length;
      group.querySelector(".count").textContent = `${entered} of ${names.length}`;
    }
  }
}
