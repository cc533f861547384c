"""Which tests run on one worker: those of one file, unless a mark says more, so that what they share is made once.

https://pytest-xdist.readthedocs.io/en/stable/distribution.html
"""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After all others that come first, because it is registered before them."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(config.rootpath).as_posix()))
