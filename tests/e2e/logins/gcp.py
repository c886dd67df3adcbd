"""Google: a service account, a federated token, the metadata server."""

import base64

from kms import jwt

from .way import Way, Wrong, way


def gcp(kit, name, settings, **options):
    stand = kit.gcp_stand
    return Way(name, stand, {**settings, "hosts": [stand.address]}, {**stand.key_parts, "endpoint": stand.address}, **options)


def lines_of(key):
    """What of a private key in PEM would be found in a log, whatever its line ends became."""
    return [line for line in jwt.pkcs8_pem(key).splitlines() if len(line) == 64]


@way("gcp:email")
def gcp_email(kit, name):
    login, other = kit.gcp_token_stand, jwt.new_key()
    der = {key: base64.b64encode(jwt.pkcs8_der(key)).decode() for key in (login.private_key, other)}
    settings = {"email": login.email, "private_key": der[login.private_key], "endpoint": login.address}
    return gcp(kit, name, settings, login=(login, "token"), secrets=[*der.values(), *lines_of(login.private_key)], wrong=[
        Wrong("invalid_grant", "Invalid JWT Signature", {"private_key": der[other]}),
        Wrong("invalid_grant", "Invalid ", {"email": "other@clinic.iam.gserviceaccount.com"}),
        Wrong("private_key", "private key is no RSA key", {"private_key": base64.b64encode(b"canary-no-key").decode()})])


@way("gcp:file")
def gcp_file(kit, name):
    login, other = kit.gcp_token_stand, jwt.new_key()
    good = login.key_file()
    return gcp(kit, name, {"credentials_file": kit.file(good)}, login=(login, "token"), secrets=[*lines_of(login.private_key), *lines_of(other)], wrong=[
        Wrong("invalid_grant", "Invalid JWT Signature", {"credentials_file": kit.file({**good, "private_key": jwt.pkcs8_pem(other)})}),
        Wrong("credentials_file_not_valid", "has no token_uri", {"credentials_file": kit.file({**good, "token_uri": ""})}),
        Wrong("credentials_file_not_valid", "neither service_account", {"credentials_file": kit.file({**good, "type": "authorized_user"})}),
        Wrong("credentials_file_not_valid", "not a JSON", {"credentials_file": kit.file("canary-no-json")})])


@way("gcp:file_variables")
def gcp_file_variables(kit, name):
    login = kit.gcp_token_stand
    env = {"GOOGLE_APPLICATION_CREDENTIALS": kit.file(login.key_file())}
    return gcp(kit, name, {}, env=env, login=(login, "token"), secrets=lines_of(login.private_key), wrong=[
        Wrong("file_unreadable", "No such file", env={"GOOGLE_APPLICATION_CREDENTIALS": str(kit.directory / "nowhere")})])


def gcp_federation(kit, name, impersonate):
    federation = kit.gcp_federation_stand
    token, forged, foreign = federation.subject_token(), federation.subject_token(key=jwt.new_key()), federation.subject_token(sub="other")

    def configuration(subject):
        return kit.file(federation.credential_configuration(kit.file(subject), impersonate=impersonate))

    return gcp(kit, name, {"credentials_file": configuration(token + "\n")}, login=(federation, "impersonate" if impersonate else "exchange"),
               secrets=[token, forged, foreign], wrong=[
        Wrong("invalid_grant", "signature is not valid", {"credentials_file": configuration(forged)}),
        Wrong("unauthorized_client", "attribute condition", {"credentials_file": configuration(foreign)}),
        Wrong("file_unreadable", "No such file",
              {"credentials_file": kit.file(federation.credential_configuration(kit.directory / "nowhere", impersonate))})])


@way("gcp:federation")
def gcp_federation_alone(kit, name):
    return gcp_federation(kit, name, impersonate=False)


@way("gcp:impersonation")
def gcp_impersonation(kit, name):
    return gcp_federation(kit, name, impersonate=True)


@way("gcp:metadata")
def gcp_metadata(kit, name):
    metadata = kit.gcp_metadata_stand
    return gcp(kit, name, {"source": "metadata", "metadata_endpoint": metadata.url}, login=(metadata, "token"), wrong=[
        Wrong("403", act=lambda: metadata.misbehave("wrong_credentials"))])


@way("gcp:metadata_variables")
def gcp_metadata_variables(kit, name):
    metadata = kit.gcp_metadata_stand
    return gcp(kit, name, {}, env={"GCE_METADATA_HOST": metadata.address}, login=(metadata, "token"), wrong=[
        Wrong("403", act=lambda: metadata.misbehave("wrong_credentials"))])
