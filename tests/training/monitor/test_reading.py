"""Files that cannot be used are refused with every column at fault, and without a patient's value."""

import pandas as pd
import pytest

from training.monitor.layout import load_file_layout
from training.monitor.reading import FilesUnreadable, read_outcomes, read_predictions


@pytest.fixture
def spoiled(predictions, tmp_path):
    def write(**columns):
        frame = pd.read_csv(predictions, dtype=object, keep_default_na=False).head(60)
        for name, value in columns.items():
            if value is None:
                frame = frame.drop(columns=name)
            else:
                frame.loc[3:5, name] = value
        path = tmp_path / "predictions.csv"
        frame.to_csv(path, index=False)
        return path

    return write


def refused(read, path, spec):
    with pytest.raises(FilesUnreadable) as caught:
        read(path, spec)
    return {p.field.partition("column ")[2]: p for p in caught.value.problems}, str(caught.value)


def test_every_bad_column_is_named_at_once(spoiled, spec):
    path = spoiled(
        age_years="seventy-seven", conversion_12m="1.7", predicted_at="soon", model_version=None, ras_status="positive"
    )
    problems, text = refused(read_predictions, path, spec)
    assert set(problems) == {"age_years", "conversion_12m", "predicted_at", "model_version", "ras_status"}
    assert "3 rows (line 5, 6, 7)" in problems["age_years"].message
    for value in ("seventy-seven", "1.7", "soon", "positive"):
        assert value not in text


def test_a_prediction_stands_once(spoiled, spec):
    problems, _ = refused(read_predictions, spoiled(prediction_id="same"), spec)
    assert "repeats an earlier row" in problems["prediction_id"].message


def test_a_missing_outcome_probability_is_a_missing_column(spoiled, spec):
    problems, _ = refused(read_predictions, spoiled(major_complication=None), spec)
    assert problems["major_complication"].code == "missing_column"


def test_what_is_not_asked_for_is_said_not_to_be_read(spoiled, spec):
    found = read_predictions(spoiled(surprise="x"), spec)
    assert found.notes == ("predictions.csv: not read: surprise",)


def test_outcomes_need_an_outcome(tmp_path, spec):
    path = tmp_path / "outcomes.csv"
    path.write_text("prediction_id,index_date\nA,2020-01-01\n")
    _, text = refused(read_outcomes, path, spec)
    assert "neither an outcome" in text


def test_outcomes_may_be_given_by_the_facts_behind_them(tmp_path, spec):
    path = tmp_path / "outcomes.csv"
    path.write_text("prediction_id,index_date,clavien_dindo_max\nA,2020-01-01,iiia\n")
    assert read_outcomes(path, spec).columns["clavien_dindo_max"] == ["iiia"]


def test_an_outcome_is_yes_no_or_empty(tmp_path, spec):
    path = tmp_path / "outcomes.csv"
    path.write_text("prediction_id,index_date,conversion_12m\nA,2020-01-01,perhaps\nB,2020-13-01,yes\nC,2020-02-01,\n")
    problems, text = refused(read_outcomes, path, spec)
    assert set(problems) == {"conversion_12m", "index_date"}
    assert "perhaps" not in text


def test_a_file_of_another_kind_is_refused(tmp_path, spec):
    path = tmp_path / "predictions.xlsx"
    path.write_text("x")
    with pytest.raises(FilesUnreadable, match=r"\.csv"):
        read_predictions(path, spec)


def test_the_files_own_columns_are_no_names_of_the_specification(spec):
    layout = load_file_layout(spec)
    assert not {*layout.predictions.model_dump().values()} & {*spec.fields, *spec.outcomes.names}


def test_a_parquet_file_reads_as_the_csv_does(cohort, model, predictions, spec, tmp_path):
    from training.monitor.sample import write_predictions

    path = tmp_path / "predictions.parquet"
    write_predictions(path, cohort, model, "1")
    one, other = read_predictions(path, spec), read_predictions(predictions, spec)
    assert one.fields == other.fields
    assert (one.when == other.when).all()
    assert (one.chance["conversion_12m"] == other.chance["conversion_12m"]).all()
