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
    this.note = place.querySelector("#regimens-note");
    place.addEventListener("change", (event) => this.#changed(event.target));
    place.querySelector("#all").addEventListener("click", () => this.#tick(true));
    place.querySelector("#none").addEventListener("click", () => this.#tick(false));
    this.refresh();
  }

  /** The ticked regimens as the service takes them. */
  values() {
    return this.#ticked().map((box) => {
      const row = box.closest("[data-backbone]");
      const count = Number(row.querySelector("input[type=number]").value);
      return { backbone: row.dataset.backbone, biologic: box.dataset.biologic, [this.cycles]: count };
    });
  }

  /** Whether a regimen is the planned one. */
  isPlanned({ backbone, biologic }) {
    return this.planned.value === `${backbone} ${biologic}`;
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

  #ticked() {
    return [...this.place.querySelectorAll("[data-biologic]:checked")];
  }

  #tick(checked) {
    for (const box of this.place.querySelectorAll("[data-biologic]")) box.checked = checked;
    if (checked) this.tell("");
    this.place.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #changed(target) {
    if (target === this.planned && this.planned.value) {
      const [backbone, biologic] = this.planned.value.split(" ");
      const row = this.place.querySelector(`[data-backbone="${backbone}"]`);
      row.querySelector(`[data-biologic="${biologic}"]`).checked = true;
    }
    this.refresh();
  }
}
