// What the specification calls things, and which part each outcome plays: no script names one itself.

/** A label within a sentence; one that starts with an abbreviation stays as it is. */
export function lower(text) {
  return /^[A-Z][a-z]|^[A-Z]\b/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

export class Terms {
  /** @param {object} data what the page embeds of the specification */
  constructor({ outcomes, parts, fields, text, cycles }) {
    this.text = text;
    this.cycles = cycles;
    this.fields = new Map(fields.map((field) => [field.name, field]));
    this.outcomes = outcomes;
    const playing = (part) => outcomes.find((outcome) => outcome.part === part);
    this.primary = playing(parts.primary);
    this.resection = playing(parts.resection);
    this.complication = playing(parts.complication);
    this.window = this.primary.window.replace(/ from .*/, "");
    // In the order in which they are drawn.
    [this.without, this.with, this.not] = Object.keys(text.states);
  }

  /** States of a regimen: each an estimate with its range, and a whole number. The numbers add up to 100: the first is
   *  what the others leave. */
  whole(regimen) {
    const { states } = regimen;
    const order = [this.without, this.with, this.not];
    const counts = order.map((state) => Math.round(100 * states[state]));
    counts[0] += 100 - counts.reduce((sum, each) => sum + each, 0);
    if (counts[0] < 0) [counts[0], counts[2]] = [0, counts[2] + counts[0]];
    return order.map((state, i) => ({
      state,
      label: this.text.states[state],
      ...this.state(regimen, state),
      count: counts[i],
      shown: 100 * states[state] < 1 ? "<1" : String(counts[i]),
    }));
  }

  /** Estimate and range of one state. It counts everyone who starts: with a complication is not "if resected". */
  state({ states, state_ranges: ranges }, name) {
    return { probability: states[name], ...ranges[name] };
  }

  /** What the numbers of a model rest on. */
  basis(model) {
    const kind = model.simulated ? "simulated" : (model.trained_on.kind ?? model.trained_on);
    return { kind, ...this.text.bases[kind] };
  }

  /** A regimen as the service takes it. */
  asked({ backbone, biologic, [this.cycles]: count }) {
    return { backbone, biologic, [this.cycles]: count };
  }
}
