// What the page says of the model outside an answer: the banner above and the facts at its end.

const short = (digest) => digest.slice(0, 12);

/**
 * Say which model answered; another may have taken its place since the page was written.
 * @param {object} model as an answer names it
 * @param {?object} card what `GET /model` tells of that model, or null
 * @param {Terms} terms
 */
export function showModel(model, card, terms) {
  const basis = terms.basis(model);
  const place = document.getElementById("basis");
  place.dataset.kind = basis.kind;
  place.querySelector("#basis-title").textContent = basis.title;
  place.querySelector("#basis-text").textContent = basis.text;
  const facts = {
    name: `${model.name}, ${model.version}`,
    learner: model.learner,
    data: model.trained_on.text,
    made: card?.created?.slice(0, 10),
    specification: short(model.spec_digest),
    flags: `version ${model.flags_version}`,
  };
  for (const [name, told] of Object.entries(facts)) {
    const value = document.querySelector(`[data-model="${name}"]`);
    value.textContent = told ?? "";
    // When a model was made is told by its card alone; without one the date of another would stand here.
    value.closest("div").hidden = !told;
  }
}
