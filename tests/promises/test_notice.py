"""NOTICE names whoever the product takes from, and both it and LICENSE travel in the wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTICE = " ".join((ROOT / "NOTICE").read_text(encoding="utf-8").split())
TAKEN_FROM = {
    "terminology": ("http://loinc.org/license", "http://unitsofmeasure.org"),
    "definitions": ("Health Level Seven International",),
    "score": ("American Heart Association",),
    "limits": ("Royal College of Physicians", "National Early Warning Score"),
    "frequent passwords": ("zxcvbn", "Daniel Wolf", "Dan Wheeler and Dropbox", "Permission is hereby granted"),
    "test data": ("Google LLC", "The Compose Specification Authors"),
}


@pytest.mark.parametrize("what", TAKEN_FROM)
def test_who_something_is_taken_from_is_named(what: str) -> None:
    assert [words for words in TAKEN_FROM[what] if words not in NOTICE] == []


def test_it_says_that_this_is_no_medical_device() -> None:
    assert "This software is not a medical device." in NOTICE


def test_the_license_is_that_of_apache_and_travels_with_the_notice() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    license_ = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert (project["license"], set(project["license-files"])) == ("Apache-2.0", {"LICENSE", "NOTICE"})
    assert "Apache License\n                           Version 2.0, January 2004" in license_
