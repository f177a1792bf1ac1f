"""Rows of an arms table are read as far as they are understood."""

import numpy as np
import pytest

from training.evidence.arms import ArmReader, arm_file, read_arm_file
from training.evidence.meta_regression import counts_of
from training.evidence.tables import load_tables
from training.evidence.vocabulary import load_vocabulary

HEADER = "study_id,arm_id,population,backbone,biologic,n_patients,response_n,response_pct\n"


@pytest.fixture(scope="module")
def reader(spec):
    return ArmReader(spec)


@pytest.fixture(scope="module")
def published(reader):
    return arm_file(load_tables()["conversion_arms"].rows, reader)


def one(reader, line):
    (arm,) = read_arm_file(HEADER + line + "\n", reader).arms
    return arm


def test_every_published_arm_is_understood(published):
    assert published.skipped == ()
    assert len(published.arms) == 97


def test_a_mixture_is_the_average_of_its_regimens(reader):
    cells = [
        one(reader, f"x,a,liver_limited,{b},none,50,20,") for b in ("folfox", "folfiri", "other:folfox_or_folfiri")
    ]
    np.testing.assert_allclose(cells[2].terms, (cells[0].terms + cells[1].terms) / 2)


def test_synonyms_and_5fu_are_recognised(reader):
    same = [
        one(reader, f"x,a,liver_limited,{b},{a},50,20,")
        for b, a in (("mFOLFOX6", "Avastin"), ("folfox", "bevacizumab"))
    ]
    np.testing.assert_array_equal(same[0].terms, same[1].terms)
    assert one(reader, "x,a,liver_limited,5fu_lv,none,50,20,").regimen_class.startswith("0 ")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x,a,on_the_moon,folfox,none,50,20,", "population 'on_the_moon' is not one of liver_limited"),
        ("x,a,liver_limited,mystery,none,50,20,", "backbone 'mystery' is not a regimen"),
        ("x,a,liver_limited,folfox,mystery,50,20,", "biologic 'mystery' is not a regimen"),
        ("x,a,liver_limited,folfox,none,50,,", "no rate of response, resection or R0"),
        ("x,a,liver_limited,folfox,none,50,20,140", "140% is not a percentage"),
        ("x,a,,folfox,none,50,20,", "population empty"),
    ],
)
def test_a_row_that_is_not_understood_is_named_and_left_out(reader, line, said):
    read = read_arm_file(HEADER + line + "\n", reader)
    assert read.arms == ()
    ((place, reason),) = read.skipped
    assert place == "row 2 (x, a)"
    assert said in reason


@pytest.mark.parametrize("text", ["", "a;b;c\n1;2;3\n", "study_id,arm_id\nx,a\n", "\x00\x01"])
def test_a_file_that_is_no_table_of_arms_is_named_and_not_read(reader, text):
    assert read_arm_file(text, reader).arms == ()


def test_a_number_that_is_none_counts_as_missing(reader):
    assert one(reader, "x,a,liver_limited,folfox,none,about fifty,,40").rates[0].size is None


def test_definitions_of_resection_are_told_apart():
    vocabulary = load_vocabulary()
    assert vocabulary.kind("resection", "R0 or R1 resection").name == "complete"
    assert (
        vocabulary.kind("resection", "Complete local treatment (resection with or without ablation)").name == "complete"
    )
    assert vocabulary.kind("resection", "surgery attempted; r0 = complete resection").name == "surgery"
    assert vocabulary.kind("resection", "").name == "surgery"
    assert vocabulary.kind("r0", "anything").name == "r0"


def test_no_patient_is_counted_twice(published):
    vocabulary = load_vocabulary()
    counts = {(c.arm.key, c.rate.kind): c.size for c in counts_of(published.arms, vocabulary)}
    # 402 patients of whom 292 have left-sided disease and are a row of their own.
    assert counts["paradigm2023/bev_mfolfox6_all", "r0"] == 402 - 292
    # Recalled, and with a part in its wild-type subgroup, which has a liver-limited part itself.
    assert counts["crystal/folfiri_itt", "response"] == pytest.approx((599 - 350) / 1.5**2)
    assert ("petrelli2012/chemo", "r0") not in counts  # a meta-analysis whose parts are rows


def test_every_row_that_says_it_is_nested_is_declared_as_a_part():
    parts = {part for parts in load_vocabulary().contains.values() for part in parts}
    for row in load_tables()["conversion_arms"].rows:
        if "nested" in str(row["note"]):
            assert f"{row['study_id']}/{row['arm_id']}" in parts


def test_every_declared_part_is_a_row(published):
    keys = {a.key for a in published.arms}
    for whole, parts in load_vocabulary().contains.items():
        assert {whole, *parts} <= keys


def test_the_vocabulary_fits_the_specification_and_a_wrong_one_is_named(spec, reader):
    from training.evidence.population import read_populations

    vocabulary = load_vocabulary()
    assert vocabulary.complaints(spec, read_populations()) == []
    wrong = vocabulary.model_copy(update={"backbones": {"odd": {"folfax": 0.5}}, "partners": ("gold",)})
    assert wrong.complaints(spec, read_populations()) == [
        "meta_regression.yaml: odd: unknown backbone folfax",
        "meta_regression.yaml: odd: the shares do not add to 1",
        "meta_regression.yaml: unknown exposure gold",
    ]
