from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_like.models.hub_errors import NotEnoughSpace
from lemonade_like.models.space import free_space, require_space
from tests.support.pulls import Disk


def test_what_does_not_fit_is_refused_with_the_numbers_and_what_to_do() -> None:
    with pytest.raises(NotEnoughSpace) as error:
        require_space("org/repo:Q4_0", 12_110_000_000, 5_000_000_000, Path("/models"), reserve=1_000_000_000)
    assert error.value.message == (
        "org/repo:Q4_0 needs 12.11 GB more, and 1.00 GB must stay free, but /models has 5.00 GB free.\n"
        "Free 8.11 GB there (`lemonade-like delete NAME` removes a model), "
        "or set HF_HOME to a folder on another disk."
    )


@pytest.mark.parametrize(("needed", "free"), [(0, 0), (10, 15), (9, 15)])
def test_what_fits_beside_the_reserve_is_taken(needed: int, free: int) -> None:
    require_space("m", needed, free, Path("/models"), reserve=5)


def test_the_space_is_that_of_the_disk_where_the_folder_will_be(tmp_path: Path) -> None:
    asked: list[Path] = []

    def usage(place: Path) -> Disk:
        asked.append(place)
        return Disk(7)

    assert free_space(tmp_path / "not" / "yet", usage) == 7
    assert asked == [tmp_path]
