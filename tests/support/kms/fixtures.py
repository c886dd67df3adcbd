"""A fixture per provider: the stand-in is started once, at its first use, and each test finds it without faults, up,
and with nothing recorded. Loaded by tests/e2e/conftest.py; needs its `certificates`."""

import pytest

from .vault import VaultStand


def _fixtures(name, make):
    @pytest.fixture(scope="session", name=f"_{name}")
    def started(certificates, tmp_path_factory):
        stand = make(certificates, tmp_path_factory.mktemp(name))
        yield stand
        stand.stop()

    @pytest.fixture(name=name)
    def fresh(request):
        stand = request.getfixturevalue(f"_{name}")
        stand.forget()
        yield stand
        stand.misbehave(None)
        stand.restore()

    return started, fresh


_vault, vault_stand = _fixtures("vault_stand", VaultStand)
_vault_namespace, vault_namespace_stand = _fixtures("vault_namespace_stand", lambda *made: VaultStand(*made, namespace=True))
