"""The `resecta` command line. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import datetime as dt
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

# Before any library is imported: no telemetry, and OpenMP threads that yield instead of spinning (a two-core
# machine with two jobs otherwise slows down seventyfold).
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "GX_ANALYTICS_ENABLED": "false",
    "GOMP_SPINCOUNT": "1000",
    "OMP_NUM_THREADS": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}.items():
    os.environ.setdefault(_name, _value)

import typer  # noqa: E402 - after the switches above

if TYPE_CHECKING:
    from training.registry import Registry
    from training.store import Store

app = typer.Typer(
    name="resecta",
    help="Conversion, complications and liver injury by regimen, in unresectable colorectal liver metastases.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class SplitName(StrEnum):
    """How patients are held out."""

    SITE = "site"
    TIME = "time"
    RANDOM = "random"


def _stop(message: str, code: int = 2) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


Columns = Annotated[Path | None, typer.Option(help="YAML column map: their names, codes and units to ours.")]
Quarantine = Annotated[Path | None, typer.Option(help="Set failing rows aside in this CSV and go on.")]
BadShare = Annotated[float, typer.Option(min=0.0, max=1.0, help="Most rows that may be set aside.")]
By = Annotated[str | None, typer.Option(help="Who decides; the user of this machine when omitted.")]
Reason = Annotated[str, typer.Option(help="Why.")]
Store_ = Annotated[
    Path | None, typer.Option("--store", help="Folder of the MLflow store (RESECTA_STORE, else mlruns).")
]


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Registry to write (.csv or .parquet).")],
    patients: Annotated[int, typer.Option(min=1, max=100_000)] = 3000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same registry.")] = 7,
    sites: Annotated[int, typer.Option(min=1, max=200)] = 6,
    truth: Annotated[Path | None, typer.Option(help="Also write each patient's true probabilities (.parquet).")] = None,
) -> None:
    """Invent a registry. It demonstrates and tests; it is not knowledge."""
    from features import load_specification
    from training.progress import Progress
    from training.simulator import simulate as invent
    from training.simulator import write_registry, write_truth

    spec = load_specification()
    if patients < sites:
        _stop(f"--patients {patients} is fewer than --sites {sites}; each site needs at least one patient.")
    with Progress("Simulating"):
        registry, true = invent(spec, patients=patients, seed=seed, sites=sites)
        write_registry(registry, out)
        if truth is not None:
            write_truth(true, truth)
    typer.echo(
        f"{len(registry)} simulated patients of {sites} sites in {out}" + (f", truth in {truth}" if truth else "")
    )


@app.command()
def validate(
    registry: Annotated[Path, typer.Argument(help="Registry to check (.csv or .parquet).")],
    columns: Columns = None,
    quarantine: Quarantine = None,
    max_bad_share: BadShare = 0.05,
    docs: Annotated[Path | None, typer.Option(help="Write Great Expectations Data Docs to this folder.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
) -> None:
    """Check a registry. Exit 0 clean, 1 rejected, 2 usage."""
    from features import load_specification
    from training.progress import Progress
    from validation.command import run_validate

    read = _read(registry, columns)
    with Progress("Validating"):
        code = run_validate(
            read.frame,
            load_specification(),
            reading=read.problems,
            notes=read.notes,
            quarantine=quarantine,
            max_bad_share=max_bad_share,
            docs=docs,
            json_path=json_path,
        )
    raise typer.Exit(code)


@app.command()
def train(
    data: Annotated[Path | None, typer.Option(help="Registry to learn from (.csv or .parquet).")] = None,
    no_data: Annotated[bool, typer.Option("--no-data", help="Register the evidence prior itself.")] = False,
    columns: Columns = None,
    split: Annotated[
        SplitName | None, typer.Option(help="Held-out groups; a random split must be asked for by name.")
    ] = None,
    quarantine: Quarantine = None,
    max_bad_share: BadShare = 0.05,
    store: Store_ = None,
) -> None:
    """Train every candidate on a registry, or register the evidence prior with --no-data."""
    from features import load_specification

    if (data is None) == (not no_data):
        _stop("Give either --data REGISTRY or --no-data.")
    registry = None if data is None else _read(data, columns)
    from training.command import run_train, run_train_evidence

    spec, place = load_specification(), _store(store)
    if registry is None:
        raise typer.Exit(run_train_evidence(place, spec))
    raise typer.Exit(run_train(registry, place, spec, split.value if split else None, quarantine, max_bad_share))


@app.command()
def compare(
    version: Annotated[str | None, typer.Option(help="Number or alias; the challenger when omitted.")] = None,
    against: Annotated[str | None, typer.Option(help="Another version instead of the champion of its job.")] = None,
    metric: Annotated[str, typer.Option(help="Figure to tabulate.")] = "log_loss",
    store: Store_ = None,
) -> None:
    """Show how a version did beside champion, candidates and published scores, with intervals."""
    from features import load_specification
    from training.comparison_command import run_compare

    raise typer.Exit(run_compare(_store(store), load_specification(), version, against, metric))


@app.command()
def promote(
    version: Annotated[str | None, typer.Option(help="Version to promote; the challenger when omitted.")] = None,
    allow_simulated: Annotated[
        bool, typer.Option("--allow-simulated", help="Serve invented patients, labelled.")
    ] = False,
    by: By = None,
    reason: Reason = "no reason given",
    store: Store_ = None,
) -> None:
    """Make a version the champion, if it passes the gates. Exit 0 promoted, 1 refused."""
    import getpass

    from features import load_specification
    from training.promotion_command import run_promote

    who = by or getpass.getuser()
    raise typer.Exit(run_promote(_store(store), load_specification(), version, allow_simulated, who, reason))


@app.command()
def rollback(by: By = None, reason: Reason = "no reason given", store: Store_ = None) -> None:
    """Make the previous champion the champion again; a second rollback undoes the first."""
    import getpass

    from features import load_specification
    from training.promotion_command import run_rollback

    raise typer.Exit(run_rollback(_store(store), load_specification(), by or getpass.getuser(), reason))


class UpdateName(StrEnum):
    """The most that a retraining job may change."""

    AUTO = "auto"
    INTERCEPT = "intercept"
    LINE = "line"
    REFIT = "refit"
    FULL = "full"


@app.command()
def retrain(
    data: Annotated[
        str, typer.Option(help="Registry: a .csv or .parquet file, or a database (sqlite:///, postgresql+psycopg://).")
    ],
    table: Annotated[str | None, typer.Option(help="Table or view of the database.")] = None,
    query: Annotated[Path | None, typer.Option(help="File with one reading SQL statement, instead of --table.")] = None,
    columns: Columns = None,
    as_of: Annotated[
        dt.datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Day by which patients are closed; the registry's newest date when omitted."
        ),
    ] = None,
    update: Annotated[UpdateName, typer.Option(help="The most that may change.")] = UpdateName.AUTO,
    no_promote: Annotated[
        bool, typer.Option("--no-promote", help="Leave what passes as challenger, for a person to promote.")
    ] = False,
    allow_simulated: Annotated[
        bool, typer.Option("--allow-simulated", help="Serve invented patients, labelled.")
    ] = False,
    if_needed: Annotated[bool, typer.Option("--if-needed", help="Do nothing unless monitoring asks for it.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for another job.")] = 0.0,
    by: By = None,
    reason: Reason = "scheduled retraining",
    summary: Annotated[
        Path | None, typer.Option(help="Where to write the one-page summary; the store when omitted.")
    ] = None,
    quarantine: Quarantine = None,
    max_bad_share: BadShare = 0.05,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the trace of an unexpected error; it may hold patients' values.")
    ] = False,
    store: Store_ = None,
) -> None:
    """Update the served model as far as new data justify: one unattended command. See docs/retraining.md."""
    from training.retraining.command import run_retrain

    code = run_retrain(
        data,
        _store(store),
        columns=columns,
        table=table,
        query=query,
        as_of=as_of.date() if as_of else None,
        update=update.value,
        promote=not no_promote,
        allow_simulated=allow_simulated,
        if_needed=if_needed,
        wait=wait,
        by=by,
        reason=reason,
        summary=summary,
        quarantine=quarantine,
        max_bad_share=max_bad_share,
        debug=debug,
    )
    raise typer.Exit(code)


@app.command()
def monitor(
    predictions: Annotated[Path, typer.Option(help="Predictions so far (.csv or .parquet); see docs/monitoring.md.")],
    outcomes: Annotated[Path, typer.Option(help="What became of them (.csv or .parquet).")],
    as_of: Annotated[
        dt.datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Day by which patients are closed; the newest date in the files when omitted."
        ),
    ] = None,
    since: Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Charts begin here.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Registry to hold inputs against, for a champion that learned from no patients.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Page to write (.html).")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Findings to write as JSON.")] = None,
    store: Store_ = None,
) -> None:
    """Watch inputs, predictions and calibration. Exit 0 quiet, 3 an alert, 1 unreadable."""
    from training.monitor.command import run_monitor

    code = run_monitor(
        predictions,
        outcomes,
        _store(store),
        as_of=as_of.date() if as_of else None,
        since=since.date() if since else None,
        reference=reference,
        out=out,
        json_path=json_path,
    )
    raise typer.Exit(code)


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    model: Annotated[
        str, typer.Option(help="models:/resecta@alias or models:/resecta/version.")
    ] = "models:/resecta@champion",
    store: Store_ = None,
) -> None:
    """Copy a registered bundle to a folder that the service and the container read without MLflow."""
    from training.registration import export as copy
    from training.store import MODEL

    prefix = f"models:/{MODEL}"
    wanted = model.removeprefix(prefix)
    if wanted == model or wanted[:1] not in ("@", "/"):
        _stop(f"{model} is not {prefix}@alias or {prefix}/version.")
    if out.exists():
        _stop(f"{out} exists; give a folder that does not.")
    out.resolve().parent.mkdir(parents=True, exist_ok=True)
    try:
        number = copy(_store(store), wanted[1:], out)
    except LookupError as error:
        _stop(str(error), 1)
    typer.echo(f"Version {number} is in {out}")


@app.command()
def serve(
    model: Annotated[str | None, typer.Option(help="models:/resecta@alias or a bundle folder (RESECTA_MODEL).")] = None,
    host: Annotated[str | None, typer.Option(help="RESECTA_HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="RESECTA_PORT, else 3000.")] = None,
) -> None:
    """Start the service."""
    for name, value in {"RESECTA_MODEL": model, "RESECTA_HOST": host, "RESECTA_PORT": port}.items():
        if value is not None:
            os.environ[name] = str(value)
    from serving.launch import serve as start
    from serving.settings import Settings, SettingsRefused

    try:
        start(Settings.from_environment(os.environ))
    except SettingsRefused as error:
        _stop(str(error))


@app.command()
def score(
    data: Annotated[Path, typer.Argument(help="Patients to score (.csv or .parquet), columns as in the dictionary.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    model: Annotated[str, typer.Option(help="models:/resecta@alias or a bundle folder.")] = "models:/resecta@champion",
    regimens: Annotated[str, typer.Option(help="all, planned (each row's own), or names separated by commas.")] = "all",
    no_intervals: Annotated[bool, typer.Option("--no-intervals", help="Probabilities alone; much faster.")] = False,
    chunk: Annotated[int | None, typer.Option(min=1, help="Rows that a process holds at once.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a processor when omitted.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was ended.")] = False,
    identifier: Annotated[str | None, typer.Option(help="Column to copy beside the row number.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Column to leave out knowingly.")] = None,
    store: Store_ = None,
) -> None:
    """Score a large file in bounded memory. Exit 0 all rows, 1 some rejected, 2 nothing done."""
    from serving.scoring.command import CHUNK, run_score

    code = run_score(
        data,
        out,
        model=model,
        store=_store(store).folder,
        regimens=regimens,
        intervals=not no_intervals,
        chunk=chunk or CHUNK,
        workers=workers,
        resume=resume,
        identifier=identifier,
        ignore=ignore or (),
    )
    raise typer.Exit(code)


token = typer.Typer(help="Who may ask the service: tokens with roles.", no_args_is_help=True)
app.add_typer(token, name="token")


@token.command("create")
def token_create(
    name: Annotated[str, typer.Option(help="Who will hold it: a system, not a person.")],
    role: Annotated[list[str], typer.Option(help="predict, outcomes, audit or admin; may be repeated.")],
    expires: Annotated[int | None, typer.Option(min=1, help="Days; without end when omitted.")] = None,
    store: Store_ = None,
) -> None:
    """Make a token and show it once."""
    from serving.tokens_command import run_token_create

    raise typer.Exit(run_token_create(_store(store).folder, name, role, expires))


@token.command("revoke")
def token_revoke(name: Annotated[str, typer.Argument(help="Its name.")], store: Store_ = None) -> None:
    """Withdraw a token; the next request with it is refused."""
    from serving.tokens_command import run_token_revoke

    raise typer.Exit(run_token_revoke(_store(store).folder, name))


@token.command("list")
def token_list(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False, store: Store_ = None) -> None:
    """List names, roles and dates; never a token."""
    from serving.tokens_command import run_token_list

    raise typer.Exit(run_token_list(_store(store).folder, as_json=as_json))


ledger = typer.Typer(help="The append-only record of predictions and outcomes.", no_args_is_help=True)
app.add_typer(ledger, name="ledger")


@ledger.command("verify")
def ledger_verify(
    noted: Annotated[
        str | None, typer.Option(help="SEQ:HASH of an earlier run: shows whether the end was cut.")
    ] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the verdict as JSON.")] = None,
    store: Store_ = None,
) -> None:
    """Walk the hash chain. Exit 0 whole, 1 broken (and where), 2 unreadable."""
    from serving.ledger.command import run_verify

    raise typer.Exit(run_verify(os.environ, _store(store).folder, noted=noted, json_path=json_path))


@ledger.command("cohort")
def ledger_cohort(
    out: Annotated[Path, typer.Option(help="Registry to write (.csv or .parquet), for validate and retrain.")],
    site: Annotated[str | None, typer.Option(help="Site code where the reports name none.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Also write the predictions that monitor reads.")] = None,
    outcomes: Annotated[Path | None, typer.Option(help="Also write the outcomes that monitor reads.")] = None,
    store: Store_ = None,
) -> None:
    """Join predictions with what became of the patients."""
    from features import load_specification
    from serving.ledger.command import run_cohort

    code = run_cohort(
        os.environ,
        _store(store).folder,
        load_specification(),
        out,
        site=site,
        predictions=predictions,
        outcomes=outcomes,
    )
    raise typer.Exit(code)


@ledger.command("export")
def ledger_export(
    out: Annotated[Path, typer.Option(help="JSON lines to write, readable by you alone.")],
    after: Annotated[str | None, typer.Option(help="Number of the entry behind which to begin.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only entries of a kind, such as prediction or outcome.")] = None,
    since: Annotated[str | None, typer.Option(help="Written then or later, such as 2026-03-01T00:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Written before then.")] = None,
    model_version: Annotated[str | None, typer.Option(help="Answered by this version.")] = None,
    caller: Annotated[str | None, typer.Option(help="Asked with the token of this name.")] = None,
    patient: Annotated[str | None, typer.Option(help="Keyed hash of a patient reference, as entries hold it.")] = None,
    prediction_id: Annotated[str | None, typer.Option(help="An answer, and everything written about it.")] = None,
    store: Store_ = None,
) -> None:
    """Write every entry for an audit, or those that GET /audit would give for the same filters."""
    from serving.ledger.command import run_export

    asked = {
        "after": after,
        "kind": kind,
        "since": since,
        "until": until,
        "model_version": model_version,
        "caller": caller,
        "patient": patient,
        "prediction_id": prediction_id,
    }
    raise typer.Exit(run_export(os.environ, _store(store).folder, out, asked=asked))


@ledger.command("retention")
def ledger_retention(
    before: Annotated[str, typer.Option(help="First day that is kept (YYYY-MM-DD).")],
    reason: Annotated[str, typer.Option(help="Why.")],
    by: By = None,
    store: Store_ = None,
) -> None:
    """Remove the content of older entries; a signed checkpoint stays, so that the chain still verifies."""
    import getpass

    from serving.ledger.command import run_retention

    who = by or getpass.getuser()
    raise typer.Exit(run_retention(os.environ, _store(store).folder, before=before, reason=reason, by=who))


evidence = typer.Typer(help="The published evidence behind the prior.", no_args_is_help=True)
app.add_typer(evidence, name="evidence")


@evidence.command("check")
def evidence_check(
    arms: Annotated[
        Path | None, typer.Option(help="Trial arms in the shared CSV format; our own when omitted.")
    ] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write every prediction and the summary.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Forest plot to write (.png or .svg).")] = None,
) -> None:
    """Predict every published arm, leaving its own study out, beside naive predictions."""
    from rich.console import Console

    from training.evidence.command import run_check
    from training.progress import Progress

    with Progress("Leaving each study out"):
        code = run_check(arms, json_path, plot, Console(width=None if sys.stdout.isatty() else 140))
    raise typer.Exit(code)


@evidence.command("show")
def evidence_show(
    csv_path: Annotated[Path | None, typer.Option("--csv", help="Write the table as CSV.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the table as a page.")] = None,
) -> None:
    """Show every effect of the prior: odds ratio, interval and studies."""
    from rich.console import Console

    from training.evidence.command import run_show

    raise typer.Exit(run_show(csv_path, html, Console(width=None if sys.stdout.isatty() else 140)))


@app.command()
def dictionary(
    check: Annotated[bool, typer.Option("--check", help="Only say whether the committed page is current.")] = False,
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("docs/data_dictionary.md"),
) -> None:
    """Write the data dictionary from the specification."""
    from features import load_specification
    from features.dictionary import dictionary as render

    text = render(load_specification())
    if check:
        if not out.is_file() or out.read_text("utf-8") != text:
            _stop(f"{out} is stale; run `resecta dictionary`.", 1)
        typer.echo(f"{out} is current.")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, "utf-8")
    typer.echo(f"Wrote {out}")


@app.command()
def up() -> None:
    """Make what is missing and start the service and the MLflow page; Ctrl-C stops both."""
    import stack

    sys.exit(stack.main())


def _store(folder: Path | None) -> Store:
    from training.store import Store

    return Store.from_environment() if folder is None else Store(folder.resolve())


def _read(path: Path, columns: Path | None) -> Registry:
    from features import load_specification
    from training.registry import ColumnMapError, RegistryUnreadable, read_registry

    if not path.is_file():
        _stop(f"{path} does not exist.")
    try:
        return read_registry(path, load_specification(), columns)
    except (RegistryUnreadable, ColumnMapError) as error:
        _stop(str(error))


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
