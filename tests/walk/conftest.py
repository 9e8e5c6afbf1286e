"""Names in a folder come in their order, whatever disk this machine has."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def disk_without_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the walk believe that nothing here spins."""
    monkeypatch.setattr("pregen.walk.tree.spins", lambda _device: False)
