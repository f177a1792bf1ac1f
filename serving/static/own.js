// The board's own estimate, entered before the model's is seen, so that the one does not lean on the other.

import { make } from "./element.js";
import { lower } from "./terms.js";

/**
 * Ask for the board's own estimate of one regimen.
 * @returns {Promise<?number>} the probability as it was recorded, or null when the board passes
 */
export function askOwn(place, { answer, regimen, terms, service }) {
  const number = make("input", { class: "box", id: "own-number", type: "number", inputmode: "numeric", min: 0, max: 100, step: 1, form: "", "aria-describedby": "own-note" });
  const note = make("p", { class: "note error", id: "own-note", hidden: true });
  const tell = (text) => {
    note.hidden = false;
    note.textContent = text;
  };
  return new Promise((done) => {
    const record = async () => {
      const value = Number(number.value);
      if (number.value === "" || !number.validity.valid) return tell("Enter a whole number from 0 to 100.");
      try {
        await service.post("estimates", {
          prediction_id: answer.prediction_id,
          regimen: terms.asked(regimen),
          outcome: terms.primary.name,
          probability: value / 100,
        });
        return done(value / 100);
      } catch (error) {
        return tell(`The estimate was not recorded. ${error.message}`);
      }
    };
    number.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), record()));
    place.replaceChildren(
      make(
        "section",
        { class: "card own", "aria-labelledby": "own-title" },
        make("h3", { id: "own-title" }, "First, the board's own estimate"),
        make("label", { for: "own-number" }, `Of 100 patients like this started on ${regimen.label}, how many have ${lower(terms.primary.label)} within ${terms.window}?`),
        make("div", { class: "own-entry" }, number, make("button", { type: "button", onclick: record }, "Record, then show"), make("button", { type: "button", class: "quiet", onclick: () => done(null) }, "Show without")),
        note,
        make("p", { class: "hint" }, "It is kept with this prediction in the record of the service and changes no number."),
      ),
    );
    number.focus();
  });
}
