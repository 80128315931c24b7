"""Faults that were planted are found, and nothing else is."""

import collections

import pytest

from tests.validation.plantings import all_plantings

pytestmark = pytest.mark.one_backend

# The flags of Norway and of Svalbard, and those of Australia and of Heard and
# McDonald Islands, are one image each.
TRUE_COPIES = [
    {"norway", "svalbard & jan mayen"},
    {"australia", "heard & mcdonald islands"},
]

FLAGGED = [p.name for p in all_plantings() if p.flag]


def named(plantings, name):
    return next(p for p in plantings if p.name == name)


def test_there_are_many_kinds_of_faults():
    kinds = {p.flag or p.feature for p in all_plantings()}
    assert len(all_plantings()) >= 20
    assert len(kinds) >= 12


def test_clean_data_has_the_flags_that_are_true(clean, clean_scan):
    found = [
        {
            clean.row(row)["text"].removesuffix(" flag, country flag")
            for row in (finding.row, finding.other)
        }
        for finding in clean_scan.findings
    ]
    assert clean_scan.counts() == {"duplicate": 2}
    assert sorted(map(sorted, found)) == sorted(map(sorted, TRUE_COPIES))


@pytest.mark.parametrize("name", FLAGGED)
def test_a_planted_row_has_its_flag(planted, planted_scan, name):
    planting = named(planted[0], name)
    own = [f.flag for f in planted_scan.findings if f.row == planting.row]
    assert planting.flag in own


def test_no_other_row_has_an_error(planted, planted_scan):
    rows = {planting.row for planting in planted[0]}
    errors = [f for f in planted_scan.findings if f.severity == "error"]
    assert [f for f in errors if f.row not in rows] == []


def test_no_other_row_has_a_warning_but_true_copies(planted, planted_scan):
    rows = {planting.row for planting in planted[0]}
    other = collections.Counter(
        f.flag
        for f in planted_scan.findings
        if f.severity == "warning" and f.row not in rows
    )
    # Nine more of the row that is there ten times more, and the two flags; and
    # some of the split whose labels are another one: what they are is written.
    assert other == {"duplicate": 11, "text_unlike": 5}
