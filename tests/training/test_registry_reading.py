"""Reading a registry: our own export, and one with foreign names, codes, units, dates and signs."""

import datetime as dt
import hashlib

import pandas as pd
import pytest

from features import load_specification
from training.registry import ColumnMapError, RegistryUnreadable, build_cohort, load_column_map, read_registry
from training.registry.layout import load_layout
from training.simulator import simulate, write_registry

SPEC = load_specification()


def csv(tmp_path, text, name="registry.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_text(text, encoding=encoding)
    return path


def mapped(tmp_path, text):
    path = tmp_path / "map.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def cells(registry, name):
    return registry.frame[name].tolist()


# --- cells ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("age_years", "54", 54),
        ("age_years", "54.0", 54),
        ("age_years", "54.5", 54.5),
        ("age_years", "fifty", "fifty"),
        ("albumin_g_l", "41.5", 41.5),
        ("albumin_g_l", "1e2", 100.0),
        ("albumin_g_l", "inf", "inf"),
        ("bilobar", "Y", True),
        ("bilobar", "FALSE", False),
        ("bilobar", "0", False),
        ("bilobar", "maybe", "maybe"),
        ("ras_status", " Mutant ", "mutant"),
        ("ras_status", "Wild-type", "wt"),
        ("ras_status", "unclear", "unclear"),
        ("diabetes", "none", "none"),
        ("extrahepatic_disease", "Lung; nodal", ["lung", "nodal"]),
        ("extrahepatic_disease", "lung|spleen", ["lung", "spleen"]),
        ("index_date", "2021-03-04", dt.date(2021, 3, 4)),
        ("index_date", "2021-03-04 00:00:00", dt.date(2021, 3, 4)),
        ("index_date", "04/03/2021", "04/03/2021"),
        ("record_id", " A1 ", "A1"),
        ("age_years", "", None),
        ("age_years", "NA", None),
        ("extrahepatic_disease", "", None),
    ],
)
def test_a_cell_is_read_or_stays_as_written(tmp_path, name, written, value):
    registry = read_registry(csv(tmp_path, f'{name},sex\n"{written}",male\n'), SPEC)
    (read,) = cells(registry, name)
    assert read == value
    assert type(read) is type(value)


def test_a_file_is_known_by_its_digest_and_size(tmp_path):
    path = csv(tmp_path, "record_id,age_years\nA,50\nB,60\n")
    registry = read_registry(path, SPEC)
    assert registry.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert registry.description == "registry.csv (2 rows, 2 columns)"
    assert not registry.simulated


def test_parquet_keeps_its_types(tmp_path):
    frame = pd.DataFrame(
        {
            "record_id": ["A", "B"],
            "age_years": [50.0, None],
            "albumin_g_l": [4.1, 3.5],
            "bilobar": pd.array([True, None], dtype="boolean"),
            "index_date": pd.to_datetime(["2021-03-04", None]),
            "extrahepatic_disease": [["lung"], None],
        }
    )
    frame.to_parquet(tmp_path / "registry.parquet")
    columns = mapped(tmp_path, "decimal: ','\ndates: '%d.%m.%Y'\nunits: {albumin_g_l: g/dL}\n")
    registry = read_registry(tmp_path / "registry.parquet", SPEC, columns)
    assert cells(registry, "age_years") == [50, None]
    assert cells(registry, "albumin_g_l") == [41.0, 35.0]
    assert cells(registry, "bilobar") == [True, None]
    assert cells(registry, "index_date") == [dt.date(2021, 3, 4), None]
    assert cells(registry, "extrahepatic_disease") == [["lung"], None]


# --- columns ----------------------------------------------------------------------------------------------------------


def test_aliases_are_applied_and_said(tmp_path):
    registry = read_registry(csv(tmp_path, "study_id,Hospital,CEA,favourite colour\nA,X,12,blue\n"), SPEC)
    assert list(registry.frame.columns) == ["record_id", "site_id", "cea_ng_ml", "favourite colour"]
    assert cells(registry, "favourite colour") == [None]
    assert registry.columns["site_id"] == "Hospital"
    assert registry.unmapped == ("favourite colour",)
    assert "column Hospital is read as site_id" in registry.notes


def test_the_fields_own_name_wins_over_an_alias_and_the_loser_is_named(tmp_path):
    registry = read_registry(csv(tmp_path, "age,age_years\n40,50\n"), SPEC)
    assert cells(registry, "age_years") == [50]
    assert registry.unmapped == ("age",)
    assert [(p.field, p.code) for p in registry.problems] == [("age_years", "duplicate_column")]


def test_the_column_map_settles_which_of_two_columns_is_meant(tmp_path):
    columns = mapped(tmp_path, "columns: {age: age_years}")
    registry = read_registry(csv(tmp_path, "age,age_years,ageyears\n40,50,60\n"), SPEC, columns)
    assert cells(registry, "age_years") == [40]
    assert registry.problems == ()


def test_a_header_that_stands_twice_is_named(tmp_path):
    registry = read_registry(csv(tmp_path, "age_years,age_years\n40,50\n"), SPEC)
    assert cells(registry, "age_years") == [40]
    assert [p.code for p in registry.problems] == ["duplicate_column"]


def test_identifying_columns_are_named_and_their_values_dropped(tmp_path):
    registry = read_registry(csv(tmp_path, "record_id,MRN,date_of_birth\nA,123456,1950-01-01\n"), SPEC)
    identifying = [note for note in registry.notes if "identifies patients" in note]
    assert len(identifying) == 2
    assert {"medical_record_number", "date_of_birth"} <= set(registry.frame.columns)
    assert "123456" not in str(registry)
    assert "1950" not in registry.frame.to_csv()


def test_redcap_checkboxes_are_gathered(tmp_path):
    text = (
        "record_id,extrahepatic_disease___none,extrahepatic_disease___lung,extrahepatic_disease___2,extrahepatic_disease___9\n"
        "A,1,0,0,0\nB,0,1,1,0\nC,0,0,0,0\n"
    )
    columns = mapped(tmp_path, "codes: {extrahepatic_disease: {2: nodal}}\n")
    registry = read_registry(csv(tmp_path, text), SPEC, columns)
    # A row without any tick may mean "not asked".
    assert cells(registry, "extrahepatic_disease") == [["none"], ["lung", "nodal"], None]
    assert registry.unmapped == ("extrahepatic_disease___9",)
    assert [p.code for p in registry.problems] == ["unknown_code"]


def test_a_checkbox_whose_code_is_1_is_ticked_by_1(tmp_path):
    text = "record_id,ehd___1,ehd___2\nA,1,0\nB,0,1\nC,1,1\n"
    columns = mapped(tmp_path, "codes: {extrahepatic_disease: {1: lung, 2: nodal}}\n")
    registry = read_registry(csv(tmp_path, text), SPEC, columns)
    assert cells(registry, "extrahepatic_disease") == [["lung"], ["nodal"], ["lung", "nodal"]]


def test_an_outcome_may_come_as_a_column_of_its_own(tmp_path):
    registry = read_registry(csv(tmp_path, "record_id,conversion_12m\nA,yes\nB,no\nC,\n"), SPEC)
    assert cells(registry, "conversion_12m") == [True, False, None]


# --- regimens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "backbone", "biologic"),
    [
        ("FOLFOX + bevacizumab", "folfox", "bevacizumab"),
        ("mFOLFOX6/Avastin", "folfox", "bevacizumab"),
        ("Cetuximab plus FOLFIRI", "folfiri", "cetuximab"),
        ("XELOX", "capox", "none"),
        ("5-FU/LV", "fulv", "none"),
        ("FOLFOXIRI-bevacizumab", "folfoxiri", "bevacizumab"),
        ("moonshine + bevacizumab", "moonshine + bevacizumab", "none"),
    ],
)
def test_a_combined_regimen_is_taken_apart(tmp_path, written, backbone, biologic):
    registry = read_registry(
        csv(tmp_path, f"record_id,therapy\nA,{written}\n"), SPEC, mapped(tmp_path, "columns: {therapy: regimen}")
    )
    assert cells(registry, "planned_backbone") == [backbone]
    assert cells(registry, "planned_biologic") == [biologic]


def test_a_drug_that_is_not_covered_is_named_with_its_reason(tmp_path):
    registry = read_registry(
        csv(tmp_path, "planned_backbone,planned_biologic\nS-1,none\nXELOX,Avastin\nUFT,none\n"), SPEC
    )
    assert cells(registry, "planned_backbone") == ["S-1", "capox", "UFT"]
    assert cells(registry, "planned_biologic") == ["none", "bevacizumab", "none"]
    reasons = [note for note in registry.notes if "leave these records out" in note]
    assert len(reasons) == 2


# --- column maps ------------------------------------------------------------------------------------------------------


def test_a_foreign_registry_reads_to_the_same_cohort(tmp_path):
    ours, _ = simulate(SPEC, 400, 9, 3)
    write_registry(ours, tmp_path / "ours.csv")
    own = build_cohort(read_registry(tmp_path / "ours.csv", SPEC).frame, SPEC)

    theirs = pd.read_csv(tmp_path / "ours.csv", dtype=str, keep_default_na=False)
    for name in ("index_date", "resection_date", "death_date", "last_contact_date"):
        theirs[name] = [f"{v[8:]}.{v[5:7]}.{v[:4]}" if v else "UNK" for v in theirs[name]]
    theirs["albumin_g_l"] = [f"{int(v) / 10:.1f}".replace(".", ",") if v else "-99" for v in theirs["albumin_g_l"]]
    theirs["largest_met_diameter_mm"] = [
        f"{int(v) / 10:.1f}".replace(".", ",") if v else "" for v in theirs["largest_met_diameter_mm"]
    ]
    for name in ("cea_ng_ml", "bmi_kg_m2", "weight_kg", "inr", "weeks_since_bevacizumab"):
        theirs[name] = [v.replace(".", ",") for v in theirs[name]]
    theirs["ras_status"] = theirs["ras_status"].replace({"wt": "0", "mutant": "1", "not_tested": "9"})
    theirs["bilobar"] = theirs["bilobar"].replace({"yes": "beidseits", "no": "einseitig"})
    theirs["Schema"] = [
        f"{b.upper()} + {a}" if a != "none" else b.upper()
        for b, a in zip(theirs["planned_backbone"], theirs["planned_biologic"], strict=True)
    ]
    sites = theirs["extrahepatic_disease"]
    codes = SPEC.fields["extrahepatic_disease"].codes
    for code in codes:
        theirs[f"ehd___{code}"] = ["1" if code in v.split(";") else "0" for v in sites]
    theirs = theirs.drop(columns=["planned_backbone", "planned_biologic", "extrahepatic_disease"])
    theirs = theirs.rename(
        columns={"age_years": "Alter", "site_id": "Klinik", "ras_status": "RAS-Befund", "n_liver_metastases": "n_mets"}
    )
    theirs.to_csv(tmp_path / "theirs.csv", sep=";", index=False, encoding="latin-1")
    columns = mapped(
        tmp_path,
        """
columns: {Alter: age_years, Klinik: site_id, RAS-Befund: ras_status, Schema: regimen, ehd: extrahepatic_disease}
codes:
  ras_status: {0: wt, 1: mutant, 9: not_tested}
  bilobar: {beidseits: "yes", einseitig: "no"}
units: {albumin_g_l: g/dL, largest_met_diameter_mm: {multiply_by: 10}}
dates: "%d.%m.%Y"
missing: ["-99", UNK]
decimal: ","
encoding: latin-1
""",
    )
    read = read_registry(tmp_path / "theirs.csv", SPEC, columns)
    assert read.problems == ()
    foreign = build_cohort(read.frame, SPEC)
    assert foreign.record.tolist() == own.record.tolist()
    assert foreign.regimens == own.regimens
    assert (foreign.index_date == own.index_date).all()
    for name in own.outcomes:
        pd.testing.assert_series_equal(pd.Series(foreign.outcomes[name]), pd.Series(own.outcomes[name]))
    factors = list(SPEC.encoding.learned)
    matrix = [SPEC.encoding.patient_matrix(c.patients, factors) for c in (foreign, own)]
    pd.testing.assert_frame_equal(pd.DataFrame(matrix[0], columns=factors), pd.DataFrame(matrix[1], columns=factors))


def test_a_decimal_point_is_not_guessed_at_where_the_comma_rules(tmp_path):
    columns = mapped(tmp_path, "decimal: ','\nseparator: ';'\n")
    registry = read_registry(csv(tmp_path, "cea_ng_ml;sex\n1.250;male\n12,5;male\n"), SPEC, columns)
    assert cells(registry, "cea_ng_ml") == ["1.250", 12.5]


def test_a_default_fills_rows_without_a_value_and_is_said(tmp_path):
    registry = read_registry(csv(tmp_path, "record_id\nA\nB\n"), SPEC, mapped(tmp_path, "defaults: {site_id: here}"))
    assert cells(registry, "site_id") == ["here", "here"]
    assert "site_id: the default of the column map stands in 2 rows" in registry.notes


def test_an_empty_cell_may_be_given_a_meaning(tmp_path):
    registry = read_registry(
        csv(tmp_path, "record_id,diabetes\nA,\nB,t2dm\n"), SPEC, mapped(tmp_path, "codes: {diabetes: {'': none}}")
    )
    assert cells(registry, "diabetes") == ["none", "type2"]


def test_a_special_value_is_not_converted(tmp_path):
    columns = mapped(tmp_path, "units: {n_liver_metastases: {multiply_by: 2}}")
    registry = read_registry(csv(tmp_path, "n_liver_metastases\n99\n4\n"), SPEC, columns)
    assert cells(registry, "n_liver_metastases") == [99, 8]


def test_a_mapped_column_that_is_absent_is_named(tmp_path):
    registry = read_registry(csv(tmp_path, "record_id\nA\n"), SPEC, mapped(tmp_path, "columns: {Alter: age_years}"))
    assert [(p.field, p.code) for p in registry.problems] == [("age_years", "mapped_column_absent")]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("columns: {Alter: age}", "Alter: age is no field"),
        ("columns: {a: sex, b: sex}", "sex is given by more than one column"),
        ("codes: {ras_status: {1: mutated}}", "ras_status: mutated not allowed; allowed is one of wt, mutant"),
        ("codes: {rass: {1: wt}}", "unknown field rass"),
        ("units: {albumin_g_l: mg/dL}", r"albumin_g_l: mg/dL is not a declared unit \(g/dL\)"),
        ("units: {sex: cm}", "sex is not a field with a unit"),
        ("units: {albumin_g_l: {multiply_by: -1}}", "units.albumin_g_l"),
        ("defaults: {clinic: A}", "unknown field clinic"),
        ("colums: {a: sex}", r"colums: Extra inputs are not permitted \(parts are columns"),
        ("decimal: ';'", "decimal"),
        ("columns: [", "not valid YAML near line 1"),
    ],
)
def test_a_wrong_column_map_is_refused_by_its_entry(tmp_path, text, named):
    with pytest.raises(ColumnMapError, match=named):
        load_column_map(mapped(tmp_path, text), SPEC, load_layout(SPEC))


def test_every_wrong_entry_of_a_column_map_is_named_at_once(tmp_path):
    with pytest.raises(ColumnMapError) as raised:
        load_column_map(mapped(tmp_path, "columns: {a: agee}\ndefaults: {clinic: A}"), SPEC, load_layout(SPEC))
    assert len(raised.value.complaints) == 2


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("registry.xlsx", "x", r"give a .csv or a .parquet file"),
        ("registry.csv", "", "column names"),
        ("registry.csv", "record_id,sex\n", "no rows"),
        ("registry.parquet", "not parquet", "not a readable Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, name, text, named):
    with pytest.raises(RegistryUnreadable, match=named):
        read_registry(csv(tmp_path, text, name), SPEC)


def test_another_encoding_is_named_with_the_way_out(tmp_path):
    path = csv(tmp_path, "record_id,site_id\nA,Zürich\n", encoding="latin-1")
    with pytest.raises(RegistryUnreadable, match="name its encoding in the column map"):
        read_registry(path, SPEC)
    assert cells(read_registry(path, SPEC, mapped(tmp_path, "encoding: latin-1")), "site_id") == ["Zürich"]


def test_a_file_that_does_not_exist_is_said():
    with pytest.raises(RegistryUnreadable, match="no such file"):
        read_registry("nowhere.csv", SPEC)


def test_invented_rows_among_real_ones_taint_the_registry(tmp_path):
    registry = read_registry(csv(tmp_path, "simulated,record_id\nyes,A\nno,B\n"), SPEC)
    assert registry.simulated
    assert [p.code for p in registry.problems] == ["mixed_simulated"]
