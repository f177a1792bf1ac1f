"""The effect table reads as a clinician would say it."""

import math

import pytest

from features import INTERCEPT
from training.evidence import effect_table, load_parameters
from training.evidence.effects import describe


@pytest.fixture(scope="module")
def rows(spec):
    return effect_table(spec)


def test_every_effect_has_one_row(rows):
    effects = [(p.outcome, c.term) for p in load_parameters().outcomes for c in p.coefficients]
    assert sorted((r.outcome, r.term) for r in rows) == sorted(e for e in effects if e[1] != INTERCEPT)


def test_an_odds_ratio_lies_inside_its_interval(rows):
    part = next(p for p in load_parameters().outcomes if p.outcome == rows[0].outcome)
    coefficient = next(c for c in part.coefficients if c.term == rows[0].term)
    assert rows[0].odds_ratio == pytest.approx(math.exp(coefficient.mean), abs=1e-3)
    assert rows[0].high == pytest.approx(math.exp(coefficient.mean + 1.645 * coefficient.sd), abs=1e-2)
    assert all(r.low < r.odds_ratio < r.high for r in rows)


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("metastases", "Number of liver metastases, doubled"),
        ("cea", "CEA, ten times"),
        ("bmi", "Body mass index, per 5 kg/m2"),
        ("diameter_over_50", "Largest metastasis over 50 mm"),
        ("ecog_1_or_more", "ECOG performance status 1 or more"),
        ("albumin_under_35", "Albumin under 35 g/L"),
        ("age_over_70", "Age, per 10 years beyond 70"),
        ("bilobar", "Both lobes involved"),
        ("extrahepatic", "Extrahepatic disease: other than None"),
        ("bevacizumab_oxaliplatin", "Bevacizumab with Oxaliplatin (beyond the effect of each)"),
        ("oxaliplatin_weeks", "Planned weeks, doubled, with Oxaliplatin"),
        ("irinotecan_bmi", "Irinotecan, in addition if Body mass index, per 5 kg/m2"),
    ],
)
def test_a_term_is_said_in_words(spec, term, text):
    assert describe(spec, term) == text


def test_every_term_of_the_encoding_can_be_said(spec):
    assert all(describe(spec, term) for term in spec.encoding.terms)


def test_effects_that_rest_on_recalled_numbers_say_so(rows):
    assert {r.basis for r in rows} == {"published", "unverified", "judgement"}
