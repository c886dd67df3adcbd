"""A fixture per provider: the stand-in is started once, at its first use, and each test finds it without faults, up,
and with nothing recorded. Loaded by tests/e2e/conftest.py; needs its `certificates`."""

import pytest
from processes import EmbeddedServer
from pymongo import MongoClient

from .aws import AwsStand
from .aws_credentials import AwsMetadataStand, AwsStsStand
from .azure import AzureVaultStand
from .azure_identity import AzureLoginStand, AzureMetadataStand
from .gcp import GcpKmsStand
from .gcp_identity import GcpFederationStand, GcpMetadataStand, GcpTokenStand
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
        failures, stand.failures = stand.failures, []
        assert not failures, "\n".join(failures)

    return started, fresh


_vault, vault_stand = _fixtures("vault_stand", VaultStand)
_vault_namespace, vault_namespace_stand = _fixtures("vault_namespace_stand", lambda *made: VaultStand(*made, namespace=True))
_aws, aws_stand = _fixtures("aws_stand", AwsStand)
_aws_metadata, aws_metadata_stand = _fixtures("aws_metadata_stand", lambda _, aws: AwsMetadataStand(aws), beside="aws_stand")
_aws_sts, aws_sts_stand = _fixtures("aws_sts_stand", AwsStsStand, beside="aws_stand")
_kmip, kmip_stand = _fixtures("kmip_stand", KmipStand)
_azure, azure_stand = _fixtures("azure_stand", AzureVaultStand)
_azure_login, azure_login_stand = _fixtures("azure_login_stand", AzureLoginStand, beside="azure_stand")
_azure_metadata, azure_metadata_stand = _fixtures("azure_metadata_stand", lambda _, azure: AzureMetadataStand(azure), beside="azure_stand")
_gcp, gcp_stand = _fixtures("gcp_stand", GcpKmsStand)
_gcp_token, gcp_token_stand = _fixtures("gcp_token_stand", GcpTokenStand, beside="gcp_stand")
_gcp_metadata, gcp_metadata_stand = _fixtures("gcp_metadata_stand", lambda _, gcp: GcpMetadataStand(gcp), beside="gcp_stand")
_gcp_federation, gcp_federation_stand = _fixtures("gcp_federation_stand", GcpFederationStand, beside="gcp_stand")


@pytest.fixture(scope="session")
def oracle_client(tmp_path_factory):
    """A server for the key vaults of tests that need no fieldgate."""
    server = EmbeddedServer(tmp_path_factory.mktemp("oracle") / "server")
    client = MongoClient(server.uri, serverSelectionTimeoutMS=10_000)
    yield client
    client.close()
    server.stop()
