// The average patient, told with the model: what a regimen gives when nothing is known of a patient.

export class AveragePatient {
  /**
   * @param {?object} card what `GET /model` tells of the model that answered, or null
   * @param {Terms} terms
   */
  constructor(card, terms) {
    this.terms = terms;
    const told = card?.typical;
    this.known = new Map(told?.outcome === terms.primary.name ? told.regimens.map((each) => [this.#key(each), each.probability]) : []);
  }

  /** The primary outcome's probability under a regimen as it is planned; null where it is not told. */
  of(regimen) {
    return this.known.get(this.#key(regimen)) ?? null;
  }

  /** What the mark is, for the legend; null when no regimen has one. */
  told(regimens) {
    const marked = regimens.filter((regimen) => this.of(regimen) !== null);
    if (!marked.length) return null;
    const where = marked.length < regimens.length ? ` It is told for ${marked[0].planned_weeks} planned weeks only.` : "";
    return `${this.terms.text.average.trim()}${where}`;
  }

  #key(regimen) {
    return JSON.stringify(this.terms.asked(regimen));
  }
}
