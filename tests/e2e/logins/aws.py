"""AWS: fixed credentials, and those that are found at run time."""

from kms import jwt

from .way import Way, Wrong, way


def aws(kit, name, settings, **options):
    stand = kit.aws_stand
    return Way(name, stand, {**settings, "hosts": [stand.address]},
               {"region": stand.region, "key": stand.key, "endpoint": stand.address}, **options)


@way("aws:session")
def aws_session(kit, name):
    key_id, secret, token = kit.aws_stand.session()
    return aws(kit, name, {"access_key_id": key_id, "secret_access_key": secret, "session_token": token}, secrets=[secret, token], wrong=[
        Wrong("InvalidSignatureException", settings={"secret_access_key": "canary-wrong-secret"}),
        Wrong("UnrecognizedClientException", settings={"session_token": "canary-wrong-token"}),
        Wrong("UnrecognizedClientException", settings={"session_token": None}),
        Wrong("UnrecognizedClientException", settings={"access_key_id": "ASIAAAAAAAAAAAAAAAAA"}),
        Wrong("ExpiredTokenException", act=lambda: kit.aws_stand.credentials.expire(key_id))])


@way("aws:environment")
def aws_environment(kit, name):
    key_id, secret, token = kit.aws_stand.session()
    env = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}
    return aws(kit, name, {"source": "environment"}, env=env, secrets=[secret, token], wrong=[
        Wrong("credentials_missing", "AWS_SECRET_ACCESS_KEY is not set", env={"AWS_SECRET_ACCESS_KEY": None}),
        Wrong("credentials_missing", "AWS_ACCESS_KEY_ID is not set", env={"AWS_ACCESS_KEY_ID": ""}),
        Wrong("UnrecognizedClientException", env={"AWS_SESSION_TOKEN": None}),
        Wrong("InvalidSignatureException", env={"AWS_SECRET_ACCESS_KEY": "canary-wrong-secret"}),
        Wrong("ExpiredTokenException", act=lambda: kit.aws_stand.credentials.expire(key_id))])


@way("aws:web_identity")
def aws_web_identity(kit, name):
    sts = kit.aws_sts_stand
    token, forged, expired, foreign = (sts.web_identity_token(), sts.web_identity_token(key=jwt.new_key()),
                                       sts.web_identity_token(exp=1), sts.web_identity_token(aud=["elsewhere"]))
    settings = {"source": "web_identity", "role_arn": sts.role_arn, "web_identity_token_file": kit.file(token + "\n"), "sts_endpoint": sts.address}
    return aws(kit, name, settings, login=(sts, "assume"), secrets=[token, forged, expired, foreign], wrong=[
        Wrong("InvalidIdentityToken", settings={"web_identity_token_file": kit.file(forged)}),
        Wrong("ExpiredTokenException", settings={"web_identity_token_file": kit.file(expired)}),
        Wrong("InvalidIdentityToken", settings={"web_identity_token_file": kit.file(foreign)}),
        Wrong("credentials_missing", "is empty", {"web_identity_token_file": kit.file("\n")}),
        Wrong("file_unreadable", "No such file", {"web_identity_token_file": str(kit.directory / "nowhere")}),
        Wrong("credentials_missing", "neither role_arn nor AWS_ROLE_ARN is set", {"role_arn": None}),
        Wrong("AccessDenied", settings={"role_arn": sts.role_arn + "-other"})])


@way("aws:web_identity_variables")
def aws_web_identity_variables(kit, name):
    """As EKS gives them to a pod."""
    sts = kit.aws_sts_stand
    token, forged = sts.web_identity_token(), sts.web_identity_token(key=jwt.new_key())
    env = {"AWS_ROLE_ARN": sts.role_arn, "AWS_WEB_IDENTITY_TOKEN_FILE": kit.file(token), "AWS_REGION": "eu-west-1", "AWS_ROLE_SESSION_NAME": "pod-7"}
    return aws(kit, name, {"sts_endpoint": sts.address}, env=env, login=(sts, "assume"), secrets=[token, forged], wrong=[
        Wrong("InvalidIdentityToken", env={"AWS_WEB_IDENTITY_TOKEN_FILE": kit.file(forged)}),
        Wrong("AccessDenied", env={"AWS_ROLE_ARN": sts.role_arn + "-other"})])


@way("aws:container")
def aws_container(kit, name):
    metadata = kit.aws_metadata_stand
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": metadata.container_uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": kit.file(metadata.container_token + "\n")}
    return aws(kit, name, {"source": "container"}, env=env, login=(metadata, "container"), secrets=[metadata.container_token], wrong=[
        Wrong("401", env={"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": kit.file("canary-wrong-token")}),
        Wrong("401", env={"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": None}),
        Wrong("404", env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": metadata.url + "/other"}),
        Wrong("file_unreadable", "No such file", env={"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(kit.directory / "nowhere")}),
        Wrong("metadata_url_not_allowed", "AWS_CONTAINER_CREDENTIALS_FULL_URI must be an https URL", env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/credentials"}),
        Wrong("credentials_missing", "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor", env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": None})])


@way("aws:container_token")
def aws_container_token(kit, name):
    metadata = kit.aws_metadata_stand
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": metadata.container_uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN": metadata.container_token}
    return aws(kit, name, {}, env=env, login=(metadata, "container"), secrets=[metadata.container_token], wrong=[
        Wrong("401", env={"AWS_CONTAINER_AUTHORIZATION_TOKEN": "canary-wrong-token"})])


@way("aws:instance")
def aws_instance(kit, name):
    metadata = kit.aws_metadata_stand
    return aws(kit, name, {"source": "instance", "metadata_endpoint": metadata.url}, login=(metadata, "credentials"), wrong=[
        Wrong("401", act=lambda: metadata.misbehave("wrong_credentials")),
        Wrong("reply_not_valid", "lacks credentials", act=lambda: metadata.misbehave("wrong_type"))])


@way("aws:instance_variables")
def aws_instance_variables(kit, name):
    metadata = kit.aws_metadata_stand
    return aws(kit, name, {}, env={"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url + "/"}, login=(metadata, "credentials"), wrong=[
        Wrong("credentials_missing", "AWS_EC2_METADATA_DISABLED is set", env={"AWS_EC2_METADATA_DISABLED": "true"}),
        Wrong("credentials_missing", "not of the form", env={"AWS_EC2_METADATA_SERVICE_ENDPOINT": "metadata"})])
