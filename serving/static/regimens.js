// The choice of regimens: which are compared, for how many cycles, and which one is planned.

export class RegimenChoice {
  /**
   * @param {HTMLElement} place
   * @param {string} cycles what the service calls the number of cycles
   */
  constructor(place, cycles) {
    this.place = place;
    this.cycles = cycles;
    this.planned = place.querySelector("#planned");
    this.profile = place.querySelector("#profile");
    this.note = place.querySelector("#regimens-note");
    place.addEventListener("change", (event) => this.#changed(event.target));
    place.querySelector("#all").addEventListener("click", () => this.#tick(true));
    place.querySelector("#none").addEventListener("click", () => this.#tick(false));
    this.refresh();
  }

  /** The ticked regimens as the service takes them. */
  values() {
    return this.#ticked().map((box) => this.#regimen(box));
  }

  /** Every regimen that can be ticked, each with the cycles of its backbone. */
  every() {
    return this.#boxes().map((box) => this.#regimen(box));
  }

  /** The ticked regimens with their labels. */
  labelled() {
    const label = ({ backbone, biologic }) => [...this.planned.options].find(({ value }) => value === `${backbone} ${biologic}`).textContent.trim();
    return this.values().map((regimen) => ({ ...regimen, label: label(regimen) }));
  }

  /** What a link holds of the choice. */
  choice() {
    return { regimens: this.values(), planned: this.planned.value, profile: this.profile.value };
  }

  /** Take over a choice; returns how many of its regimens are not on the page. */
  choose({ regimens, planned, profile }) {
    for (const box of this.#boxes()) box.checked = false;
    let unknown = 0;
    for (const { backbone, biologic, [this.cycles]: count } of regimens) {
      const box = this.#boxes().find((each) => this.#is(each, backbone, biologic));
      if (!box) {
        unknown += 1;
        continue;
      }
      box.checked = true;
      const number = this.#row(box).querySelector("input[type=number]");
      if (count >= Number(number.min) && count <= Number(number.max)) number.value = Math.round(count);
    }
    this.planned.value = [...this.planned.options].some(({ value }) => value === planned) ? planned : "";
    if ([...this.profile.options].some(({ value }) => value === profile)) this.profile.value = profile;
    this.#changed(this.planned);
    return unknown;
  }

  /** What the browser finds wrong with the choice, or an empty text. */
  problem() {
    if (!this.#ticked().length) return "Tick at least one regimen.";
    const wrong = [...this.place.querySelectorAll("input[type=number]")].find((each) => !each.validity.valid);
    return wrong ? `${wrong.getAttribute("aria-label")}.` : "";
  }

  /** Show a message, or take it away when it is empty. */
  tell(message) {
    this.note.className = "note error";
    this.note.hidden = !message;
    this.note.textContent = message;
  }

  /** Write the weeks beside the cycles. */
  refresh() {
    for (const count of this.place.querySelectorAll("input[type=number]")) {
      const weeks = Number(count.value) * Number(count.dataset.weeks);
      count.closest(".cycles").querySelector("output").textContent = count.validity.valid ? `${weeks} weeks` : "";
    }
    this.tell("");
  }

  #boxes() {
    return [...this.place.querySelectorAll("[data-biologic]")];
  }

  #ticked() {
    return this.#boxes().filter((box) => box.checked);
  }

  #row(box) {
    return box.closest("[data-backbone]");
  }

  #is(box, backbone, biologic) {
    return this.#row(box).dataset.backbone === backbone && box.dataset.biologic === biologic;
  }

  #regimen(box) {
    const row = this.#row(box);
    return { backbone: row.dataset.backbone, biologic: box.dataset.biologic, [this.cycles]: Number(row.querySelector("input[type=number]").value) };
  }

  #tick(checked) {
    for (const box of this.#boxes()) box.checked = checked;
    if (checked) this.tell("");
    this.place.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #changed(target) {
    if (target === this.planned && this.planned.value) {
      const [backbone, biologic] = this.planned.value.split(" ");
      this.#boxes().find((box) => this.#is(box, backbone, biologic)).checked = true;
    }
    this.refresh();
  }
}
