// Where the numbers come from: the model, its data and studies, how well it was calibrated, what it leaves out.

import { draw, make } from "./element.js";

const SIZE = 240;
const EDGE = 38;
const MARGIN = 18;

export class SourcesView {
  /** @param {object} context what is shared by the views of one answer */
  constructor(context) {
    const { answer, terms, card, stamp } = context;
    const { model } = answer;
    const basis = terms.basis(model);
    const { trained_on: data } = model;
    const facts = [
      ["Rests on", basis.title],
      ["Data", data.text],
      ["Data digest", data.data_digest.slice(0, 12)],
      ["Patients", data.patients ? String(data.patients) : ""],
      ["Model", `${model.name}, version ${model.version} (${model.learner})`],
      ["Made", card?.created ? new Date(card.created).toLocaleDateString("en-GB", { dateStyle: "medium" }) : ""],
      ["Specification", model.spec_digest.slice(0, 12)],
      ["Flags", `version ${model.flags_version}`],
      ["Prediction", answer.prediction_id],
      ["Time", stamp],
    ];
    const entry = ([label, shown]) => (shown ? make("div", {}, make("dt", {}, label), make("dd", {}, shown)) : null);
    this.element = make(
      "section",
      { class: "card provenance", "aria-labelledby": "sources-title" },
      make("h3", { id: "sources-title" }, "Where these numbers come from"),
      make("p", { class: "rests" }, basis.text),
      make("p", { class: "rests" }, make("a", { href: "evidence" }, "The published effects behind them, with their studies")),
      make("dl", {}, facts.map(entry)),
      make("div", { class: "calibration" }, make("h4", {}, "Calibration"), calibration(card, terms)),
      make("div", { class: "unmodelled" }, make("h4", {}, "Not modelled"), make("p", {}, terms.text.not_modelled)),
    );
  }
}

function calibration(card, terms) {
  const known = card?.calibration;
  const curves = Object.entries(known?.curves ?? {});
  const none = "There is no calibration plot: this model was not compared with the outcomes of patients.";
  if (!curves.length) return make("p", {}, known?.text || none);
  const label = (name) => terms.outcomes.find((outcome) => outcome.name === name)?.label ?? name;
  return make(
    "div",
    {},
    known.text ? make("p", {}, known.text) : null,
    make("p", { class: "explained" }, "Observed share over predicted chance with its range; on the dotted line they agree."),
    make("div", { class: "curves" }, curves.map(([name, curve]) => plot(label(name), curve))),
  );
}

function plot(label, { predicted, observed, low, high, patients, events, arms, studies }) {
  const x = (p) => EDGE + (SIZE - EDGE - MARGIN) * p;
  const y = (p) => SIZE - EDGE - (SIZE - EDGE - MARGIN) * p;
  const path = (values) => predicted.map((p, i) => `${i ? "L" : "M"}${x(p).toFixed(1)} ${y(values[i]).toFixed(1)}`).join("");
  const back = [...predicted.keys()].reverse().map((i) => `L${x(predicted[i]).toFixed(1)} ${y(low[i]).toFixed(1)}`).join("");
  const percent = (p) => `${Math.round(100 * p)}%`;
  const last = predicted.length - 1;
  const number = (n) => n.toLocaleString("en-GB");
  const of = patients ? ` Of ${number(patients)} patients, ${number(events)} with it.` : arms ? ` Of ${arms} trial arms of ${studies} studies.` : "";
  const told = `${label}: where ${percent(predicted[0])} was predicted, ${percent(observed[0])} (${percent(low[0])}–${percent(high[0])}) was observed; where ${percent(predicted[last])}, ${percent(observed[last])} (${percent(low[last])}–${percent(high[last])}).${of}`;
  return make(
    "figure",
    { class: "curve" },
    draw(
      "svg",
      { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": told },
      [0, 0.5, 1].map((tick) => [
        draw("line", { class: "line", x1: x(tick), x2: x(tick), y1: y(0), y2: y(1) }),
        draw("line", { class: "line", x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }),
        draw("text", { class: "tick", x: x(tick), y: SIZE - EDGE + 15, "text-anchor": "middle" }, percent(tick)),
        draw("text", { class: "tick", x: EDGE - 5, y: y(tick) + 4, "text-anchor": "end" }, percent(tick)),
      ]),
      draw("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
      draw("path", { class: "band", d: `${path(high)}${back}Z` }),
      draw("path", { class: "curve", d: path(observed) }),
    ),
    make("figcaption", {}, told),
  );
}
