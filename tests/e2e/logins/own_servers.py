"""Vault and KMIP: what runs in one's own house."""

from kms import jwt

from .way import Way, Wrong, way


def vault(kit, name, settings, stand=None, **options):
    stand = stand or kit.vault_stand
    return Way(name, stand, {"address": stand.url, **settings}, {"keyName": stand.key}, **options)


@way("vault:token")
def vault_token(kit, name):
    stand = kit.vault_stand
    token, weak, revoked = stand.new_token(), stand.new_token(policies=["default"]), stand.new_token()
    stand.revoke(revoked)
    return vault(kit, name, {"token": token}, secrets=[token, weak, revoked], wrong=[
        Wrong("403", settings={"token": "s.canary-wrong-token"}), Wrong("403", settings={"token": weak}), Wrong("403", settings={"token": revoked})])


@way("vault:token_file")
def vault_token_file(kit, name):
    stand = kit.vault_stand
    token, revoked = stand.new_token(), stand.new_token()
    stand.revoke(revoked)
    file = kit.file(token + "\n")
    return vault(kit, name, {"token_file": file}, file=file, secrets=[token, revoked], wrong=[
        Wrong("403", settings={"token_file": kit.file(revoked)}),
        Wrong("credentials_missing", "is empty", {"token_file": kit.file("")}),
        Wrong("file_unreadable", "No such file", {"token_file": str(kit.directory / "nowhere")})])


@way("vault:approle")
def vault_approle(kit, name):
    stand = kit.vault_stand
    return vault(kit, name, {"role_id": stand.role_id, "secret_id": stand.secret_id}, login=(stand, "login"), secrets=[stand.secret_id], wrong=[
        Wrong("400", settings={"secret_id": "canary-wrong-secret"}), Wrong("400", settings={"role_id": "other"}),
        Wrong("403|404", settings={"auth_mount": "elsewhere"})])


@way("vault:kubernetes")
def vault_kubernetes(kit, name):
    stand = kit.vault_stand
    tokens = [stand.service_account_token(**options) for options in ({}, {"name": "other"}, {"aud": ["elsewhere"]}, {"key": jwt.new_key()})]
    files = [kit.file(token + "\n") for token in tokens]
    return vault(kit, name, {"kubernetes": {"role": "fieldgate", "token_file": files[0]}}, login=(stand, "login"), secrets=tokens, wrong=[
        *(Wrong("403", settings={"kubernetes": {"role": "fieldgate", "token_file": file}}) for file in files[1:]),
        Wrong("400", settings={"kubernetes": {"role": "other", "token_file": files[0]}}),
        Wrong("file_unreadable", "No such file", {"kubernetes": {"role": "fieldgate", "token_file": str(kit.directory / "nowhere")}})])


@way("vault:namespace")
def vault_namespace(kit, name):
    stand = kit.vault_namespace_stand
    settings = {"namespace": stand.namespace, "role_id": stand.role_id, "secret_id": stand.secret_id}
    return vault(kit, name, settings, stand=stand, login=(stand, "login"), secrets=[stand.secret_id], wrong=[
        Wrong("40[0-4]", settings={"namespace": None}), Wrong("40[0-4]", settings={"namespace": "other"})])


@way("kmip:certificate")
def kmip_certificate(kit, name):
    stand, files = kit.kmip_stand, kit.certificates
    tls = {**kit.tls, "certificate_key_file": str(files.client)}
    _, _, another = files.authority.issue("another-desk")
    return Way(name, stand, {"endpoint": stand.address, "tls": tls}, {}, wrong=[
        Wrong("certificate_refused", "tls.certificate_key_file", {"tls": {**tls, "certificate_key_file": str(files.stranger_client)}}),
        Wrong("PermissionDenied", settings={"tls": {**tls, "certificate_key_file": str(another)}})],
               secrets=[line for file in (files.client, files.stranger_client, another) for line in key_lines(file)])


def key_lines(file):
    return [line for line in file.read_text().partition("PRIVATE KEY-----")[2].splitlines() if len(line) == 64]
