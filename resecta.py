"""The `resecta` command line. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
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
    from training.crossfit import Assessed
    from training.registry import Registry
    from validation.registry import CheckedRegistry

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
    from training.simulator import simulate as invent
    from training.simulator import write_registry, write_truth

    spec = load_specification()
    if patients < sites:
        _stop(f"--patients {patients} is fewer than --sites {sites}; each site needs at least one patient.")
    with _progress("Simulating", None):
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
    quarantine: Annotated[Path | None, typer.Option(help="Set failing rows aside in this CSV and go on.")] = None,
    max_bad_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Most rows that may be set aside.")] = 0.05,
    docs: Annotated[Path | None, typer.Option(help="Write Great Expectations Data Docs to this folder.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
) -> None:
    """Check a registry. Exit 0 clean, 1 rejected, 2 usage."""
    from features import load_specification
    from validation.command import run_validate

    read = _read(registry, columns)
    with _progress("Validating", None):
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
    quarantine: Annotated[Path | None, typer.Option(help="Set failing rows aside in this CSV and go on.")] = None,
    max_bad_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Most rows that may be set aside.")] = 0.05,
    store: Store_ = None,
) -> None:
    """Train every candidate on a registry, or register the evidence prior with --no-data."""
    from features import load_specification
    from training.evidence import load_prior
    from training.store import Store

    if (data is None) == (not no_data):
        _stop("Give either --data REGISTRY or --no-data.")
    spec = load_specification()
    place = Store.from_environment() if store is None else Store(store.resolve())
    if data is None:
        from training.job import train_from_evidence

        with _progress("Registering the evidence prior", None):
            made = train_from_evidence(spec, load_prior(spec), place)
        typer.echo(
            f"Registered version {made.version} as {made.alias}: published evidence alone, no patient-level data."
        )
        return
    registry = _read(data, columns)
    checked = _check(registry, quarantine, max_bad_share)
    from training.job import Source, train_from_registry
    from training.learners import CANDIDATES
    from training.registry import build_cohort
    from training.splits import CannotSplit, Split

    cohort = build_cohort(checked.frame, spec)
    source = Source(registry.description, registry.digest, registry.simulated)
    steps = len(CANDIDATES) * len(spec.outcomes.names)
    try:
        with _progress("Training", steps) as tick:
            made = train_from_registry(
                cohort, source, spec, load_prior(spec), place, Split(split.value) if split else None, tick=tick
            )
    except CannotSplit as error:
        _stop(str(error))
    _show(made.assessed, made.winner)
    typer.echo(f"Registered version {made.version} ({made.winner}) as {made.alias}.")
    if registry.simulated:
        typer.echo("It was trained on simulated patients: only `resecta promote --allow-simulated` would serve it.")


@app.command()
def promote(
    version: Annotated[str | None, typer.Option(help="Version to promote; the challenger when omitted.")] = None,
    allow_simulated: Annotated[
        bool, typer.Option("--allow-simulated", help="Serve invented patients, labelled.")
    ] = False,
    by: Annotated[str | None, typer.Option(help="Who decides; the user of this machine when omitted.")] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "no reason given",
    store: Store_ = None,
) -> None:
    """Make a version the champion, if it passes the gates."""
    import getpass

    from features import load_specification
    from training.promotion import PromotionRefused
    from training.promotion import promote as decide
    from training.store import Store

    place = Store.from_environment() if store is None else Store(store.resolve())
    try:
        done = decide(place, load_specification(), version, allow_simulated, by or getpass.getuser(), reason)
    except PromotionRefused as error:
        _stop(f"Not promoted: {error}", 1)
    for verdict in done.verdicts:
        typer.echo(f"  {'passed' if verdict.passed else 'failed'}  {verdict.gate}: {verdict.text}")
    typer.echo(
        f"Version {done.version} is now champion"
        + (f"; version {done.replaced} is previous." if done.replaced else ".")
    )


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
    from training.store import MODEL, Store

    prefix = f"models:/{MODEL}"
    wanted = model.removeprefix(prefix)
    if wanted == model or wanted[:1] not in ("@", "/"):
        _stop(f"{model} is not {prefix}@alias or {prefix}/version.")
    if out.exists():
        _stop(f"{out} exists; give a folder that does not.")
    out.resolve().parent.mkdir(parents=True, exist_ok=True)
    try:
        number = copy(Store.from_environment() if store is None else Store(store.resolve()), wanted[1:], out)
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

    with _progress("Leaving each study out", None):
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


class _progress:
    """A progress bar on a terminal, plain lines elsewhere."""

    def __init__(self, title: str, steps: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        count = [BarColumn(), MofNCompleteColumn()] if steps else []
        self._bar = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), *count, TimeElapsedColumn(), console=Console(stderr=True)
        )
        self._title, self._steps = title, steps

    def __enter__(self) -> Callable[[str, str], None]:
        self._bar.start()
        self._task = self._bar.add_task(self._title, total=self._steps)
        return self._tick

    def _tick(self, learner: str, outcome: str) -> None:
        self._bar.update(self._task, advance=1, description=f"{self._title}: {learner}, {outcome}")

    def __exit__(self, *error: object) -> None:
        self._bar.stop()


def _read(path: Path, columns: Path | None) -> Registry:
    from features import load_specification
    from training.registry import ColumnMapError, RegistryUnreadable, read_registry

    if not path.is_file():
        _stop(f"{path} does not exist.")
    try:
        return read_registry(path, load_specification(), columns)
    except (RegistryUnreadable, ColumnMapError) as error:
        _stop(str(error))


def _check(registry: Registry, quarantine: Path | None, max_bad_share: float) -> CheckedRegistry:
    from rich.console import Console

    from features import load_specification
    from validation.checkpoint import validate_registry
    from validation.quarantine import admit, admit_without_failing
    from validation.registry import RegistryRejected

    with _progress("Validating", None):
        report = validate_registry(
            registry.frame, load_specification(), reading=registry.problems, notes=registry.notes
        )
    report.render(Console(width=None if sys.stdout.isatty() else 120))
    try:
        if quarantine is None:
            return admit(registry.frame, report)
        return admit_without_failing(registry.frame, report, quarantine, max_bad_share)
    except RegistryRejected:
        _stop("Rejected: nothing was trained. Mend the registry, or set failing rows aside with --quarantine FILE.", 1)


def _show(assessed: tuple[Assessed, ...], winner: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Held-out log loss (lower is better)", caption=f"lowest mean: {winner}")
    table.add_column("outcome")
    for one in assessed:
        table.add_column(one.learner, justify="right")
    for outcome in assessed[0].metrics:
        values = [a.metrics[outcome]["log_loss"].value for a in assessed]
        table.add_row(outcome, *("-" if v is None else f"{v:.4f}" for v in values))
    means = [a.mean("log_loss") for a in assessed]
    table.add_row("mean", *("-" if m is None else f"{m:.4f}" for m in means))
    Console().print(table)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
