"""The MLflow store: where it is, and the names under which things are kept in it."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "resecta"
MODEL = "resecta"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_MAKING = "mlflow.db.making-"


@dataclass(frozen=True)
class Store:
    """A folder with ``mlflow.db`` (sqlite) and ``artifacts/``.

    Attributes
    ----------
    folder
        Absolute path.
    """

    folder: Path

    @classmethod
    def from_environment(cls) -> Store:
        """The store named by ``RESECTA_STORE``, else ``mlruns`` under the working directory."""
        return cls(Path(os.environ.get("RESECTA_STORE", "mlruns")).resolve())

    @property
    def uri(self) -> str:
        """Database address for MLflow."""
        return f"sqlite:///{self.database}"

    @property
    def database(self) -> Path:
        """MLflow's sqlite file."""
        return self.folder / "mlflow.db"

    @property
    def unfinished(self) -> list[Path]:
        """Databases that were being made when their maker was killed."""
        return sorted(self.folder.glob(f"{_MAKING}*"))

    @property
    def bundles(self) -> Path:
        """Where bundles are written before they are logged."""
        return self.folder / "bundles"

    def open(self) -> MlflowClient:
        """Point MLflow at this store, making it on first use, and return a client."""
        import mlflow

        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.database.exists():
            self._make()
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        client = mlflow.MlflowClient()
        if client.get_experiment_by_name(EXPERIMENT) is None:
            # The default artifact root would be the working directory.
            client.create_experiment(EXPERIMENT, artifact_location=(self.folder / "artifacts").as_uri())
        mlflow.set_experiment(EXPERIMENT)
        return client

    def _make(self) -> None:
        # MLflow makes its tables in many steps, and cannot go on from the middle of them. So they are made under
        # another name; a link, unlike a rename, never puts an empty store in the place of another job's.
        import mlflow

        making = self.folder / f"{_MAKING}{uuid.uuid4().hex}"
        try:
            mlflow.MlflowClient(tracking_uri=f"sqlite:///{making}").search_experiments(max_results=1)
            os.link(making, self.database)
        except FileExistsError:
            pass
        finally:
            making.unlink(missing_ok=True)
