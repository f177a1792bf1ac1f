"""Imports go one way, and what answers patients loads nothing that trains.

features <- validation <- training <- serving: each room imports only what stands to its left, and serving of
training only the bundle, which itself needs little. These rules hold inside functions too; the last one, on
heavy libraries, is about loading and so about a module's top level.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("features", "validation", "training", "serving")
BUNDLE = "training.bundle"

#: Of the project's own modules, what each part may import.
ALLOWED = {
    "features": ("features",),
    "validation": ("validation", "features"),
    BUNDLE: (BUNDLE, "features"),
    "training": ("training", "validation", "features"),
    "serving": ("serving", BUNDLE, "features"),
}
#: Of others', what the bundle may import beside the standard library: it is loaded wherever a model answers, and
#: xgboost brings scipy there in any case.
BUNDLE_LIBRARIES = frozenset({"numpy", "scipy", "xgboost", "pydantic", "yaml"})
#: Not installed where only serving is, and seconds to load: in serving inside functions only.
HEAVY = frozenset({"great_expectations", "matplotlib", "mlflow", "pandas", "sklearn"})
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OWN_TOP_LEVEL = frozenset({*ROOMS, *PROJECT["tool"]["setuptools"]["py-modules"]})


def imports(tree: ast.Module, module: str, package: bool) -> Iterator[tuple[ast.AST, str]]:
    """Yield each import as its node and absolute dotted name, one per imported name."""
    parents = module.split(".") if package else module.split(".")[:-1]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node, name.name) for name in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                base = [*parents[: len(parents) - level + 1]] if level else []
                base += [source] if source else []
                yield from ((node, ".".join([*base, name.name])) for name in names)
            case ast.Call(
                func=ast.Name(id="__import__") | ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node, name


def deferred(tree: ast.Module) -> set[ast.AST]:
    """Return the nodes that do not run when the module is loaded: in functions, or for type checkers only."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found.update(ast.walk(node))
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            found.update(inner for statement in node.body for inner in ast.walk(statement))
    return found


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def violations(source: str, module: str, package: bool = False) -> list[str]:
    """Return what a module imports against the rules, a sentence each."""
    tree = ast.parse(source)
    part = BUNDLE if within(module, BUNDLE) else module.split(".")[0]
    later = deferred(tree)
    found = []
    for node, name in imports(tree, module, package):
        where, top = f"{module}:{node.lineno} imports {name}", name.split(".")[0]  # type: ignore[attr-defined]
        if top in OWN_TOP_LEVEL:
            if not any(within(name, allowed) for allowed in ALLOWED[part]):
                found.append(f"{where}; {part} may import of the project only {', '.join(ALLOWED[part])}")
        elif part == BUNDLE and top not in BUNDLE_LIBRARIES | sys.stdlib_module_names:
            found.append(f"{where}; {part} may import only {', '.join(sorted(BUNDLE_LIBRARIES))}")
        elif part == "serving" and top in HEAVY and node not in later:
            found.append(f"{where} when it is loaded; in serving that belongs inside the function that needs it")
    return found


def modules() -> list[tuple[str, Path]]:
    files = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return [(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), file) for file in files]


@pytest.mark.parametrize(("module", "file"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_module_imports_only_leftwards(module, file):
    assert violations(file.read_text(encoding="utf-8"), module, file.name == "__init__.py") == []


def test_no_room_is_missing_from_the_check():
    assert {module.split(".")[0] for module, _ in modules()} == set(ROOMS)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("features.field", "import training"),
        ("features.field", "from validation.report import Report"),
        ("features.field", "def f():\n    import serving.page"),
        ("features.field", "import resecta"),
        ("validation.suite", "from training import bundle"),
        ("training.fit", "import serving"),
        ("training.fit", "import importlib\nimportlib.import_module('serving.page')"),
        ("serving.page", "import validation"),
        ("serving.page", "from training import fit"),
        ("serving.page", "from training.fit import Fit"),
        ("serving.page", "import training"),
        ("serving.page", "from training.bundles import read"),
        ("serving.page", "if TYPE_CHECKING:\n    from training.fit import Fit"),
        ("training.bundle.prior", "import pandas"),
        ("training.bundle.prior", "def f():\n    from sklearn.linear_model import LogisticRegression"),
        ("training.bundle.prior", "from training.fit import Fit"),
        ("training.bundle.prior", "from ..fit import Fit"),
        ("training.bundle.prior", "from .. import fit"),
        ("serving.page", "import mlflow"),
        ("serving.page", "from matplotlib import pyplot"),
        ("serving.page", "try:\n    import pandas as pd\nexcept ImportError:\n    pd = None"),
        ("serving.page", "class A:\n    import sklearn"),
        ("serving.page", "import great_expectations as gx"),
    ],
)
def test_an_import_against_the_rules_is_found(module, source):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("features.field", "from features.problem import Problem\nimport yaml, pandas"),
        ("features.field", "from .problem import Problem"),
        ("validation.suite", "import great_expectations\nfrom features import Field"),
        ("training.fit", "import mlflow\nfrom validation import report\nfrom training.bundle import prior"),
        ("training.bundle.prior", "import json, numpy, xgboost, yaml\nfrom pydantic import BaseModel"),
        ("training.bundle.prior", "from . import scores\nfrom training.bundle.scores import Scores"),
        (
            "serving.page",
            "from training.bundle import Bundle\nfrom training import bundle\nimport training.bundle.prior",
        ),
        ("serving.page", "def f():\n    import mlflow"),
        ("serving.page", "if TYPE_CHECKING:\n    import pandas"),
    ],
)
def test_an_import_within_the_rules_is_left_alone(module, source):
    assert violations(source, module) == []


def test_a_package_resolves_its_relative_imports_against_itself():
    assert violations("from . import prior", "training.bundle", package=True) == []
    assert len(violations("from .. import fit", "training.bundle", package=True)) == 1


def test_the_service_loads_where_the_libraries_of_training_are_not_installed():
    # As in the image; a library that a library loads counts as well.
    hide = f"import sys; sys.modules.update(dict.fromkeys({sorted(HEAVY)})); import serving.service"
    loading = subprocess.run([sys.executable, "-c", hide], cwd=ROOT, capture_output=True, text=True)
    assert loading.returncode == 0, loading.stderr
