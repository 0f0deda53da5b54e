"""Files as people have them are read as it is written beside them."""

import pytest

from tests.support.samples import FOLDER, PLAN_SUFFIX, SUFFIX, Sample, samples

_SAMPLES = [*samples()]


@pytest.mark.parametrize("sample", _SAMPLES, ids=lambda sample: sample.name)
def test_a_file_is_read_as_expected(sample: Sample) -> None:
    expected = {name: value for name, value in sample.expected.items() if name != "read"}
    assert sample.told() == expected


def test_each_file_has_its_expectation() -> None:
    beside = (SUFFIX, PLAN_SUFFIX)
    files = {path.name for path in FOLDER.iterdir() if not path.name.endswith(beside)}
    assert files == {sample.name for sample in _SAMPLES}
    assert {path.name for path in FOLDER.glob(f"*{SUFFIX}")} == {name + SUFFIX for name in files}
    assert len(files) >= 25
