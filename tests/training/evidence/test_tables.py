"""The published tables are read whole or refused with the place of every fault."""

import pytest

from training.evidence.tables import Column, TableDefinition, TableRefused, data_folder, load_tables

PEOPLE = TableDefinition(
    columns=(
        Column(name="study", kind="text", required=True),
        Column(name="drug", kind="text", codes=("a", "b"), prefixes=("other:",)),
        Column(name="n", kind="count"),
        Column(name="share", kind="percent"),
        Column(name="year", kind="year"),
    ),
    key=("study",),
)
HEADER = "study,drug,n,share,year\n"


def test_the_tables_that_ship_fit_their_definitions():
    tables = load_tables()
    assert {name: len(table.rows) for name, table in tables.items() if "study_id" in table.rows[0]} == {
        "conversion_arms": 97,
        "conversion_predictors": 112,
        "liver_injury": 59,
        "postoperative_outcomes": 159,
        "cohort_baselines": 326,
    }


def test_every_study_of_the_tables_is_cited():
    cited = (data_folder() / "SOURCES.md").read_text("utf-8")
    studies = {r["study_id"] for t in load_tables().values() for r in t.rows if "study_id" in r}
    assert [study for study in sorted(studies) if f"`{study}`" not in cited] == []


def test_an_empty_cell_is_not_zero():
    assert PEOPLE.read("people.csv", HEADER + "x,a,,,\n").rows[0]["n"] is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x,c,1,50,2000", "people.csv, row 2, column drug: 'c' is not one of a, b, other:..."),
        (",a,1,50,2000", "people.csv, row 2, column study: is empty but required"),
        ("x,a,many,50,2000", "people.csv, row 2, column n: 'many' is not a number"),
        ("x,a,1.5,50,2000", "people.csv, row 2, column n: 1.5 is not a whole number of people"),
        ("x,a,1,150,2000", "people.csv, row 2, column share: 150 is not a percentage from 0 to 100"),
        ("x,a,1,50,20", "people.csv, row 2, column year: 20 is not a year"),
        ("x,a,1,50", "people.csv, row 2: 4 cells instead of 5"),
    ],
)
def test_a_cell_that_does_not_fit_is_named_by_file_row_and_column(line, said):
    with pytest.raises(TableRefused) as refused:
        PEOPLE.read("people.csv", HEADER + line + "\n")
    assert str(refused.value) == said


def test_all_faults_are_told_at_once():
    with pytest.raises(TableRefused) as refused:
        PEOPLE.read("people.csv", HEADER + "x,c,many,50,2000\nx,a,1,50,2000\n")
    assert len(str(refused.value).splitlines()) == 3  # two cells, and the study repeated


def test_a_column_too_few_is_refused():
    with pytest.raises(TableRefused, match="expected study, drug, n, share, year"):
        PEOPLE.read("people.csv", "study,drug\nx,a\n")


def test_a_mixture_of_regimens_is_part_of_the_vocabulary():
    assert PEOPLE.read("people.csv", HEADER + "x,other:a_or_b,1,50,2000\n").rows[0]["drug"] == "other:a_or_b"


def test_a_row_that_is_not_unique_is_not_picked():
    table = load_tables()["conversion_arms"]
    with pytest.raises(LookupError, match="exactly one is needed"):
        table.pick(study_id="tribe")
    assert table.pick(study_id="tribe", arm_id="bev_folfoxiri")["n_patients"] == 252
