"""MLflow's view of a bundle: loaded as code plus data, so that nothing is unpickled.

MLflow executes this file when the model is loaded (models from code); it is not imported by the project.
"""

from __future__ import annotations

from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel

from features import Kind, Patients, Role, load_specification
from training.bundle import load_bundle


class ResectaModel(PythonModel):
    """Predicts every outcome for the planned regimen in each row."""

    def load_context(self, context: Any) -> None:
        """Load the bundle among the model's artifacts; a bundle of another specification is refused."""
        self.spec = load_specification()
        self.bundle = load_bundle(context.artifacts["bundle"], self.spec)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Predict P(outcome | given).

        Parameters
        ----------
        model_input
            One row a patient: the asked fields and the planned regimen, as `training.registration.signature`
            declares them. Yes/no fields are 1.0 or 0.0, multiple choices ``a;b``.

        Returns
        -------
        DataFrame
            One column an outcome.
        """
        backbone, biologic, cycles = (f.name for f in self.spec.field_with(Role.PLAN))
        rows: list[dict[str, float]] = []
        for record in model_input.to_dict("records"):
            planned = record.get(cycles)
            regimen = self.spec.regimens.regimen(
                str(record[backbone]), str(record[biologic]), None if pd.isna(planned) else int(planned)
            )
            known = {f.name: self._value(f, record.get(f.name)) for f in self.spec.asked}
            patients = Patients.from_records(self.spec, [known])
            scores = self.bundle.score(patients, [regimen], intervals=False)
            rows.append({name: float(p[0, 0]) for name, p in scores.probability.items()})
        return pd.DataFrame(rows, columns=list(self.spec.outcomes.names), index=model_input.index)

    @staticmethod
    def _value(field: Any, value: Any) -> Any:
        if value is None or (isinstance(value, float) and pd.isna(value)):
            return None
        if field.kind is Kind.BOOLEAN:
            return bool(value)
        return str(value).split(";") if field.kind is Kind.CODES else value


mlflow.models.set_model(ResectaModel())
