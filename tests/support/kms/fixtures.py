"""A fixture per provider: the stand-in is started once, at its first use, and each test finds it without faults, up,
and with nothing recorded. Loaded by tests/e2e/conftest.py; needs its `certificates`."""

import pytest
from processes import EmbeddedServer
from pymongo import MongoClient

from .aws import AwsStand
from .aws_credentials import AwsMetadataStand, AwsStsStand
from .kmip import KmipStand
from .vault import VaultStand


def _fixtures(name, make, beside=None):
    """`make(certificates, directory)`, or `make(certificates, stand)` with the stand-in that it belongs to."""

    @pytest.fixture(scope="session", name=f"_{name}")
    def started(request, certificates, tmp_path_factory):
        stand = make(certificates, request.getfixturevalue(f"_{beside}") if beside else tmp_path_factory.mktemp(name))
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
_aws, aws_stand = _fixtures("aws_stand", AwsStand)
_aws_metadata, aws_metadata_stand = _fixtures("aws_metadata_stand", lambda _, aws: AwsMetadataStand(aws), beside="aws_stand")
_aws_sts, aws_sts_stand = _fixtures("aws_sts_stand", AwsStsStand, beside="aws_stand")
_kmip, kmip_stand = _fixtures("kmip_stand", KmipStand)


@pytest.fixture(scope="session")
def oracle_client(tmp_path_factory):
    """A server for the key vaults of tests that need no fieldgate."""
    server = EmbeddedServer(tmp_path_factory.mktemp("oracle") / "server")
    client = MongoClient(server.uri, serverSelectionTimeoutMS=10_000)
    yield client
    client.close()
    server.stop()
