"""The data dictionary: the whole specification as one Markdown document, written and never typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from features.encoding import PatientFactor
from features.field import Field
from features.rule import Condition
from features.specification import Specification

_HEAD = """\
# Data dictionary

Written from `features/data/*.yaml` by `resecta dictionary`; change those files, not this one.
"""


def dictionary(spec: Specification) -> str:
    """Write the data dictionary.

    Returns
    -------
    str
        Markdown: fields by group, derived fields, outcomes, regimens, flags, consistency rules and encoding, in the
        order in which they are declared.
    """
    sections = (
        _HEAD,
        f"Specification `{spec.digest[:12]}`, flags version {spec.flags.version}.\n",
        _fields(spec),
        _import_names(spec),
        _derived(spec),
        _outcomes(spec),
        _regimens(spec),
        _flags(spec),
        _consistency(spec),
        _encoding(spec),
    )
    return "\n".join(sections)


def _fields(spec: Specification) -> str:
    told = (
        "## Fields\n\n"
        "A value beyond the limits is refused; one beyond the usual range is accepted with a question. `Asked` are "
        "the fields that a prediction asks for. `Missing` is the share of a registry's rows, in percent, in which the "
        "field is expected to be empty (of the resected for fields known at or after surgery). A field is never used "
        "before the time at which it is known.\n"
    )
    parts = [told]
    for group in dict.fromkeys(f.group for f in spec.fields.values()):
        rows = [
            (
                f"`{f.name}`",
                f.label + (f". {f.ask}" if f.ask else ""),
                _allowed(f),
                _demand(f),
                f.known_at.value,
                f"{f.expected_missing[0]:g} to {f.expected_missing[1]:g}",
                ", ".join(role.value for role in f.roles),
                _codes(f),
                f.why,
            )
            for f in spec.fields.values()
            if f.group == group
        ]
        columns = ("Field", "What", "Allowed", "Asked", "Known at", "Missing", "Role", "Standard codes", "Why")
        parts += [f"### {_title(group)}\n", _table(columns, rows)]
    return "\n".join(parts)


def _allowed(field: Field) -> str:
    if field.identifying:
        return "refused: it identifies the patient"
    if field.codes:
        told = "; ".join(f"`{code}` {label}" for code, label in field.codes.items())
        if field.unknown_codes:
            told += f". Not a value: {', '.join(f'`{c}`' for c in field.unknown_codes)}"
        return told + (f". `{field.exclusive}` only alone" if field.exclusive else "")
    told = field.allowed()
    if field.usual is not None and field.usual != field.hard:
        told += f"; usually {field.usual[0]:g} to {field.usual[1]:g}"
    for slip in field.unit_slips:
        low, high = slip.suspect
        told += f"; {low:g} to {high:g} may be {slip.unit} (times {slip.multiply_by:g})"
    return told


def _demand(field: Field) -> str:
    asked = "yes" if field.asked else "no"
    return f"{asked}, required" if field.required else asked


def _codes(field: Field) -> str:
    named = (system.partition(":") for system in field.terminology)
    entries = zip(named, field.terminology.values(), strict=True)
    return "; ".join(" ".join(p for p in (system.upper(), of, code) if p) for (system, _, of), code in entries)


def _import_names(spec: Specification) -> str:
    rows = [
        (
            f"`{f.name}`",
            ", ".join(f"`{alias}`" for alias in f.aliases),
            "; ".join(f"`{written}` is `{code}`" for written, code in f.synonyms.items()),
        )
        for f in spec.fields.values()
        if f.aliases or f.synonyms
    ]
    told = "## Names on import\n\nOther names of columns and codes that a registry may use.\n"
    return f"{told}\n{_table(('Field', 'Columns', 'Codes'), rows)}"


def _derived(spec: Specification) -> str:
    rows = [
        (
            f"`{d.name}`",
            d.label,
            d.unit or "",
            ", ".join(f"`{i}`" for i in d.inputs),
            d.text,
            d.known_at.value,
            d.why,
        )
        for d in spec.derived.values()
    ]
    columns = ("Field", "What", "Unit", "From", "Formula", "Known at", "Why")
    return f"## Derived fields\n\n{_table(columns, rows)}"


def _outcomes(spec: Specification) -> str:
    tree = spec.outcomes
    drawn = [f"{'  ' * len(tree.ancestors(o.name))}- `{o.name}` {o.label}" for o in tree.outcomes]
    rows = [
        (
            f"`{o.name}`",
            o.definition,
            o.window,
            f"{o.predict_at.value}, known at {o.known_at.value}",
            f"`{o.given}`" if o.given else "everyone started",
            _words(o.recorded) if o.recorded else f"column `{o.name}`",
            "; ".join(f"{term} {direction}" for term, direction in o.settled.items()),
            o.why,
        )
        for o in tree.outcomes
    ]
    columns = ("Outcome", "Definition", "Window", "Predicted at", "Given", "Recorded when", "Settled", "Why")
    told = (
        "## Outcomes\n\n"
        "An outcome below another cannot happen without it. `Given` is what its reported probability is conditional "
        "on; `Settled` are directions that every model must respect.\n"
    )
    return f"{told}\n{chr(10).join(drawn)}\n\n{_table(columns, rows)}"


def _regimens(spec: Specification) -> str:
    catalogue = spec.regimens
    backbones = [
        (
            f"`{b.name}`",
            b.label,
            f"{b.cycle_weeks} weeks",
            ", ".join(f"{drug} {dose:g}" for drug, dose in b.drugs.items()),
            ", ".join(b.synonyms),
            b.why,
        )
        for b in catalogue.backbones
    ]
    biologics = [(f"`{a.name}`", a.label, ", ".join(a.synonyms), a.why) for a in catalogue.biologics]
    drugs = [(d.label, ", ".join(d.classes), d.atc or "") for d in catalogue.drugs]
    refused = [(written, why) for written, why in catalogue.refused.items()]
    return "\n".join(
        (
            "## Regimens\n\nEvery backbone goes with every biologic. Doses are mg/m² a cycle, for display only.\n",
            _table(("Backbone", "Label", "Cycle", "Drugs", "Also written", "Why"), backbones),
            _table(("Biologic", "Label", "Also written", "Why"), biologics),
            _table(("Drug", "Counts as", "ATC"), drugs),
            _table(("Refused on import", "Reason"), refused),
        )
    )


def _flags(spec: Specification) -> str:
    catalogue = spec.flags
    rules = [
        (
            f"`{r.key or r.code}`",
            *(r.severity[profile] for profile in catalogue.profiles),
            r.predict_at.value,
            _words(r.when),
            r.text,
            r.source,
            str(r.review_date),
        )
        for r in catalogue.rules
    ]
    notices = [(f"`{n.code}`", n.severity, n.text, n.source, str(n.review_date)) for n in catalogue.notices]
    columns = ("Flag", *(p.upper() for p in catalogue.profiles), "At", "When", "Text", "Source", "Reviewed")
    told = (
        f"## Flags, version {catalogue.version}\n\n"
        "Remarks on a regimen, never a filter; severities by profile. A flag whose input is missing is answered as "
        "unknown.\n"
    )
    return "\n".join(
        (
            told,
            _table(columns, rules),
            "Raised by the service itself:\n",
            _table(("Notice", "Severity", "Text", "Source", "Reviewed"), notices),
        )
    )


def _consistency(spec: Specification) -> str:
    rows = [(f"`{r.code}`", _words(r.when), r.text, r.do) for r in spec.consistency]
    told = "## Consistency\n\nRows of a registry that contradict themselves.\n"
    return f"{told}\n{_table(('Rule', 'Defect when', 'What', 'What to do'), rows)}"


def _encoding(spec: Specification) -> str:
    encoding = spec.encoding
    patient = [
        (f"`{f.name}`", _reading(f), "models and prior" if f.learn else "prior only") for f in encoding.patient_factors
    ]
    regimen = [
        (f"`{f.name}`", " × ".join((*f.exposures, *(("log2(planned weeks / 12)",) if f.weeks else ()))))
        for f in encoding.regimen_factors
    ]
    interactions = [(f"`{i.name}`", f"{i.patient} × {i.regimen}") for i in encoding.interactions]
    told = "## Encoding\n\nHow patients and regimens become numbers; a factor is missing where its field is.\n"
    return "\n".join(
        (
            told,
            _table(("Patient factor", "Value", "Read by"), patient),
            _table(("Regimen factor", "Value"), regimen),
            _table(("Interaction", "Value"), interactions),
        )
    )


def _reading(factor: PatientFactor) -> str:
    if factor.product is not None:
        return " × ".join(factor.product)
    of = f"`{factor.of}`"
    for codes, joined in ((factor.equals, "is"), (factor.not_equals, "is not"), (factor.has_any, "has any of")):
        if codes is not None:
            return f"1 when {of} {joined} {' or '.join(_value(c) for c in codes)}, else 0"
    if factor.not_only is not None:
        return f"1 when {of} is more than `{factor.not_only}`, else 0"
    for limit, words in ((factor.at_least, "at least"), (factor.above, "above"), (factor.below, "below")):
        if limit is not None:
            return f"1 when {of} is {words} {limit:g}, else 0"
    value = of
    if factor.cap is not None:
        value += f" kept within {factor.cap[0]:g} to {factor.cap[1]:g}"
    if factor.transform is not None:
        value = f"{factor.transform} of {value}"
    if factor.center:
        value += f", minus {factor.center:g}"
    if factor.per != 1:
        value += f", over {factor.per:g}"
    return value + (f", at least {factor.floor:g}" if factor.floor is not None else "")


def _words(condition: Condition, inner: bool = False) -> str:
    """Say a condition in words."""
    for parts, joint in ((condition.all, " and "), (condition.any, " or ")):
        if parts is not None:
            said = joint.join(_words(part, inner=True) for part in parts)
            return f"({said})" if inner and len(parts) > 1 else said
    if condition.not_ is not None:
        return f"not ({_words(condition.not_)})"
    fact = f"`{condition.fact}`"
    if condition.unknown is not None:
        return f"{fact} is {'not ' if condition.unknown else ''}known"
    if condition.is_ is not None:
        return f"{fact} is {_value(condition.is_)}"
    for several, joined in ((condition.in_, "is"), (condition.has_any, "has any of")):
        if several is not None:
            return f"{fact} {joined} {' or '.join(_value(v) for v in several)}"
    for other, joined in ((condition.before, "is before"), (condition.after, "is after")):
        if other is not None:
            return f"{fact} {joined} `{other}`"
    limits = (
        (condition.above, "is above"),
        (condition.below, "is below"),
        (condition.at_least, "is at least"),
        (condition.at_most, "is at most"),
    )
    limit, joined = next((value, words) for value, words in limits if value is not None)
    return f"{fact} {joined} {limit:g}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value}`" if isinstance(value, str) else f"{value:g}"


def _title(group: str) -> str:
    return group.replace("_", " ").capitalize()


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        # A bar would end the cell, a star might start emphasis (*28/*28).
        return "| " + " | ".join(c.replace("|", "\\|").replace("*", "\\*") for c in cells) + " |"

    lines = [line(columns), line("---" for _ in columns), *(line(row) for row in rows)]
    return "\n".join(lines) + "\n"
