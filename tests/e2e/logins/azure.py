"""Azure: a secret, a federated token, the machine's identity."""

from kms import jwt

from .way import Way, Wrong, way


def azure(kit, name, settings, **options):
    stand = kit.azure_stand
    return Way(name, stand, {**settings, "hosts": [stand.address]}, {"keyVaultEndpoint": stand.address, "keyName": stand.key_name}, **options)


@way("azure:client_secret")
def azure_client_secret(kit, name):
    login = kit.azure_login_stand
    settings = {"tenant_id": login.tenant_id, "client_id": login.client_id, "client_secret": login.client_secret,
                "identity_platform_endpoint": login.address}
    return azure(kit, name, settings, login=(login, "token"), secrets=[login.client_secret], wrong=[
        Wrong("invalid_client", "AADSTS7000215", settings={"client_secret": "canary-wrong-secret"}),
        Wrong("unauthorized_client", "AADSTS700016", settings={"client_id": "00000000-0000-0000-0000-000000000000"}),
        Wrong("invalid_request", "AADSTS90002", settings={"tenant_id": "00000000-0000-0000-0000-000000000000"})])


@way("azure:workload_identity")
def azure_workload_identity(kit, name):
    login = kit.azure_login_stand
    token, forged, expired, foreign = (login.federated_token(), login.federated_token(key=jwt.new_key()), login.federated_token(exp=1),
                                       login.federated_token(sub="system:serviceaccount:clinic:other"))
    settings = {"source": "workload_identity", "tenant_id": login.tenant_id, "client_id": login.client_id,
                "federated_token_file": kit.file(token + "\n"), "identity_platform_endpoint": login.address}
    return azure(kit, name, settings, login=(login, "token"), secrets=[token, forged, expired, foreign], wrong=[
        Wrong("invalid_client", "AADSTS700027", {"federated_token_file": kit.file(forged)}),
        Wrong("invalid_client", "AADSTS700024", {"federated_token_file": kit.file(expired)}),
        Wrong("invalid_client", "AADSTS700213", {"federated_token_file": kit.file(foreign)}),
        Wrong("token_file_not_valid", "does not hold a token", {"federated_token_file": kit.file("\n")}),
        Wrong("file_unreadable", "No such file", {"federated_token_file": str(kit.directory / "nowhere")})])


@way("azure:workload_identity_variables")
def azure_workload_identity_variables(kit, name):
    """As AKS's webhook gives them to a pod: nothing is configured."""
    login = kit.azure_login_stand
    token, forged = login.federated_token(), login.federated_token(key=jwt.new_key())
    env = {"AZURE_TENANT_ID": login.tenant_id, "AZURE_CLIENT_ID": login.client_id, "AZURE_FEDERATED_TOKEN_FILE": kit.file(token),
           "AZURE_AUTHORITY_HOST": login.url + "/"}
    return azure(kit, name, {}, env=env, login=(login, "token"), secrets=[token, forged], wrong=[
        Wrong("invalid_client", "AADSTS700027", env={"AZURE_FEDERATED_TOKEN_FILE": kit.file(forged)}),
        Wrong("invalid_request", "AADSTS90002", env={"AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000000"})])


@way("azure:managed_identity")
def azure_managed_identity(kit, name):
    metadata = kit.azure_metadata_stand
    return azure(kit, name, {"source": "managed_identity", "metadata_endpoint": metadata.url}, login=(metadata, "token"), wrong=[
        Wrong("invalid_request", "Identity not found", {"client_id": "00000000-0000-0000-0000-000000000000"}),
        Wrong("unauthorized_client", "status 401", act=lambda: metadata.misbehave("expired_token"))])


@way("azure:managed_identity_user")
def azure_managed_identity_user(kit, name):
    metadata = kit.azure_metadata_stand
    settings = {"source": "managed_identity", "client_id": metadata.client_id, "metadata_endpoint": metadata.url}
    return azure(kit, name, settings, login=(metadata, "token"), wrong=[
        Wrong("invalid_request", "Identity not found", {"client_id": "00000000-0000-0000-0000-000000000000"})])
