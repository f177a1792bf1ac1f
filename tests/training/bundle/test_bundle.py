"""A bundle is sealed data, and anything else is refused with its reason."""

import hashlib
import json

import pytest

from features import Patients
from features.specification import Specification, read_parts
from training.bundle import BundleRefused, Support, load_bundle, rename_bundle, save_bundle
from training.bundle.manifest import seal


@pytest.fixture
def folder(tmp_path, spec, parameters, manifest_of):
    return save_bundle(tmp_path / "bundle", manifest_of(spec), parameters, spec, Support())


def refused(folder, spec):
    with pytest.raises(BundleRefused) as caught:
        load_bundle(folder, spec)
    return caught.value


def test_a_saved_bundle_answers_exactly_as_the_prior_it_was_made_from(folder, spec, prior):
    patients = Patients.from_records(spec, [{"age_years": 60, "n_liver_metastases": 5}])
    loaded = load_bundle(folder, spec)
    again = loaded.prior.log_odds(patients, spec.regimens.all(), "resection_12m")
    assert again.tolist() == prior.log_odds(patients, spec.regimens.all(), "resection_12m").tolist()


def test_a_bundle_is_known_by_the_digest_of_its_seal_which_stands_for_every_byte(folder, spec, tmp_path):
    seal_of = hashlib.sha256((folder / "checksums.json").read_bytes()).hexdigest()
    assert load_bundle(folder, spec).digest == seal_of
    renamed = rename_bundle(folder, tmp_path / "renamed", "2")
    assert load_bundle(renamed, spec).digest != seal_of


def test_nothing_in_a_bundle_is_pickled(folder):
    assert {p.suffix for p in folder.iterdir()} <= {".json", ".ubj"}


def test_a_changed_a_missing_and_a_foreign_file_are_each_named(folder, spec):
    (folder / "prior.json").write_text((folder / "prior.json").read_text() + " ")
    (folder / "support.json").unlink()
    (folder / "extra.txt").write_text("hello")
    fault = refused(folder, spec)
    assert fault.code == "checksum"
    for named in ("prior.json was changed", "support.json is missing", "extra.txt is not listed"):
        assert named in fault.reason


def test_another_specification_is_refused_with_both_digests_and_what_differs(folder, spec):
    parts = read_parts()
    age = next(f for f in parts["fields"] if f["name"] == "age_years")
    age["hard"] = [18, 105]
    other = Specification(parts)
    fault = refused(folder, other)
    assert fault.code == "digest"
    for named in (spec.digest, other.digest, "fields: age_years"):
        assert named in fault.reason


def test_an_unknown_format_is_refused(folder, spec):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    seal(folder)
    assert refused(folder, spec).code == "format"


def test_a_resealed_but_unreadable_bundle_is_refused_without_a_stack_trace(folder, spec):
    (folder / "prior.json").write_text("{}")
    seal(folder)
    assert refused(folder, spec).code == "malformed"


def test_a_folder_that_is_no_bundle_is_refused(tmp_path, spec):
    assert refused(tmp_path / "nowhere", spec).code == "missing"
    assert refused(tmp_path, spec).code == "missing"


def test_a_bundle_is_never_written_over(folder, spec, parameters, manifest_of):
    with pytest.raises(FileExistsError):
        save_bundle(folder, manifest_of(spec), parameters, spec, Support())


def test_a_renamed_bundle_carries_its_version_and_still_loads(folder, tmp_path, spec):
    renamed = rename_bundle(folder, tmp_path / "named", "7")
    assert load_bundle(renamed, spec).manifest.version == "7"
