"""The stand-ins for AWS, proven with the driver (libmongocrypt) and with AWS's own SDK."""

import datetime
import http.client
import json
import ssl

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from kms import jwt, sigv4
from kms.aws import CONTENT_TYPE
from kms.http1 import Request
from kms.oracle import Oracle
from pymongo.errors import EncryptionError


@pytest.fixture
def oracle(aws_stand, oracle_client, certificates):
    credentials = {"accessKeyId": aws_stand.access_key_id, "secretAccessKey": aws_stand.secret_access_key}
    return Oracle(oracle_client, {"aws": credentials}, {"aws": {"tlsCAFile": str(certificates.ca_file)}})


def master_key(stand, key=None):
    return {"region": stand.region, "key": key or stand.key, "endpoint": stand.address}


def test_a_driver_makes_uses_and_rewraps_a_key(aws_stand, oracle):
    key = oracle.create("aws", master_key(aws_stand))
    secret = oracle.round_trip(key)
    assert oracle.rewrap(key, "aws", master_key(aws_stand, aws_stand.other_key))["masterKey"]["key"] == aws_stand.other_key
    assert oracle.decrypt(secret) == "canary-oracle"
    assert aws_stand.counts() == {"encrypt": 2, "decrypt": 4}


def test_a_driver_uses_a_session_until_it_expires(aws_stand, oracle):
    key_id, secret_key, token = aws_stand.session(3600)
    oracle.providers = {"aws": {"accessKeyId": key_id, "secretAccessKey": secret_key, "sessionToken": token}}
    key = oracle.create("aws", master_key(aws_stand))
    oracle.round_trip(key)
    aws_stand.credentials.expire(key_id)
    with pytest.raises(EncryptionError, match="ExpiredTokenException"):
        oracle.round_trip(key)


def test_wrong_credentials_are_refused(aws_stand, oracle):
    key = oracle.create("aws", master_key(aws_stand))
    good_id, good_secret = aws_stand.access_key_id, aws_stand.secret_access_key
    session_id, session_secret, token = aws_stand.session()
    for credentials, error in (
            ({"accessKeyId": good_id, "secretAccessKey": "x" * 40}, "InvalidSignatureException"),
            ({"accessKeyId": "AKIAUNKNOWN", "secretAccessKey": good_secret}, "UnrecognizedClientException"),
            ({"accessKeyId": good_id, "secretAccessKey": good_secret, "sessionToken": token}, "UnrecognizedClientException"),
            ({"accessKeyId": session_id, "secretAccessKey": session_secret}, "UnrecognizedClientException"),
            ({"accessKeyId": session_id, "secretAccessKey": session_secret, "sessionToken": token[:-4]}, "UnrecognizedClientException")):
        oracle.providers = {"aws": credentials}
        with pytest.raises(EncryptionError, match=error):
            oracle.round_trip(key)


def test_states_of_keys(aws_stand, oracle):
    key = oracle.create("aws", master_key(aws_stand))
    for group, error in ((aws_stand.disabled, "DisabledException"), (aws_stand.denied, "AccessDeniedException")):
        group.add(aws_stand.key)
        try:
            with pytest.raises(EncryptionError, match=error):
                oracle.round_trip(key)
        finally:
            group.clear()
    with pytest.raises(EncryptionError, match="NotFoundException"):
        oracle.create("aws", master_key(aws_stand, aws_stand.key[:-12] + "000000000000"))


def test_another_region_or_service_is_refused(aws_stand, oracle):
    with pytest.raises(EncryptionError, match="InvalidSignatureException"):
        oracle.create("aws", {**master_key(aws_stand), "region": "us-east-1"})


# The first of AWS's published examples.
VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
VANILLA_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def test_signatures_agree_with_the_published_example():
    request = Request("GET", "/", [("Host", "example.amazonaws.com"), ("X-Amz-Date", "20150830T123600Z"), (
        "Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={VANILLA}")])
    signed = sigv4.parse(request)
    then = datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.timezone.utc)
    sigv4.check(request, signed, VANILLA_SECRET, then + datetime.timedelta(seconds=299))
    for secret, now, message in ((VANILLA_SECRET[1:], then, "does not match"),
                                 (VANILLA_SECRET, then + datetime.timedelta(seconds=301), "Signature expired"),
                                 (VANILLA_SECRET, then - datetime.timedelta(seconds=301), "not yet current")):
        with pytest.raises(sigv4.BadSignature, match=message):
            sigv4.check(request, signed, secret, now)


def signed_by_the_sdk(stand, body, **headers):
    credentials = botocore.credentials.Credentials(stand.access_key_id, stand.secret_access_key)
    request = botocore.awsrequest.AWSRequest("POST", stand.url + "/", data=body, headers={
        "Content-Type": CONTENT_TYPE, "X-Amz-Target": "TrentService.Encrypt", **headers})
    botocore.auth.SigV4Auth(credentials, "kms", stand.region).add_auth(request)
    return dict(request.headers.items())


def post(stand, certificates, body, headers):
    connection = http.client.HTTPSConnection("127.0.0.1", stand.port, timeout=10,
                                             context=ssl.create_default_context(cafile=str(certificates.ca_file)))
    try:
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_whatever_a_signature_does_not_cover_is_refused(aws_stand, certificates):
    body = json.dumps({"KeyId": aws_stand.key, "Plaintext": "a2V5"})
    headers = signed_by_the_sdk(aws_stand, body)
    assert post(aws_stand, certificates, body, headers)[0] == 200
    other = body.replace("a2V5", "a2V6")
    covered = headers["Authorization"].replace(";x-amz-target", "")
    assert covered != headers["Authorization"]
    for sent, changed, error in (
            (other, headers, "InvalidSignatureException"),
            (body, {**headers, "X-Amz-Target": "TrentService.Decrypt"}, "InvalidSignatureException"),
            (body, {**headers, "Authorization": covered}, "InvalidSignatureException"),
            (body, {**headers, "X-Amz-Security-Token": "x"}, "InvalidSignatureException"),
            (body, {**headers, "X-Amz-Date": "20150830T123600Z"}, "InvalidSignatureException"),
            (body, {**headers, "Authorization": headers["Authorization"].replace("AWS4", "AWS5")}, "IncompleteSignatureException"),
            (body, {name: value for name, value in headers.items() if name != "Authorization"}, "MissingAuthenticationTokenException")):
        status, answer = post(aws_stand, certificates, sent, changed)
        assert (status, answer["__type"]) == (400, error), answer


def test_shapes_of_requests(aws_stand, certificates):
    key = aws_stand.key
    for body, error in ((json.dumps({"KeyId": key}), "SerializationException"),
                        (json.dumps({"KeyId": key, "Plaintext": "a2V5", "Other": 1}), "SerializationException"),
                        (json.dumps({"KeyId": key, "Plaintext": "not base64!"}), "SerializationException"),
                        (json.dumps({"KeyId": key, "Plaintext": ""}), "ValidationException"),
                        (f'{{"KeyId": "{key}", "KeyId": "{key}", "Plaintext": "a2V5"}}', "ValidationException"),
                        ("[]", "ValidationException")):
        status, answer = post(aws_stand, certificates, body, signed_by_the_sdk(aws_stand, body))
        assert (status, answer["__type"]) == (400, error), answer


def test_the_sdk_makes_and_opens_a_data_key(aws_stand, certificates):
    client = boto3.client("kms", region_name=aws_stand.region, endpoint_url=aws_stand.url, verify=str(certificates.ca_file),
                          aws_access_key_id=aws_stand.access_key_id, aws_secret_access_key=aws_stand.secret_access_key)
    made = client.generate_data_key(KeyId=aws_stand.key, NumberOfBytes=96)
    assert client.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    with aws_stand.faulty("wrong_length", only={"decrypt"}):
        assert client.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"][:-1]


def test_a_driver_sees_the_faults(aws_stand, oracle):
    key = oracle.create("aws", master_key(aws_stand))
    for fault, message in (("throttle", "ThrottlingException"), ("500", "KMSInternalException"), ("expired_token", "ExpiredToken"),
                           ("wrong_credentials", "UnrecognizedClient"), ("wrong_name", "match|verify"), ("wrong_length", "incorrect length")):
        with aws_stand.faulty(fault), pytest.raises(EncryptionError, match=message):
            oracle.round_trip(key)
    oracle.round_trip(key)


def test_a_driver_finds_credentials_in_the_container(aws_stand, aws_metadata_stand, oracle, monkeypatch, tmp_path):
    isolate_sdk(monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", aws_metadata_stand.container_uri)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", aws_metadata_stand.container_token)
    oracle.providers = {"aws": {}}
    oracle.round_trip(oracle.create("aws", master_key(aws_stand)))
    assert aws_metadata_stand.count("container", "ok") >= 1
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong")
    with pytest.raises(botocore.exceptions.CredentialRetrievalError):
        boto3.Session().get_credentials()
    assert aws_metadata_stand.complaints[-1] == "wrong authorization token"


def test_a_driver_finds_credentials_in_instance_metadata(aws_stand, aws_metadata_stand, oracle, monkeypatch, tmp_path):
    isolate_sdk(monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws_metadata_stand.url)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    oracle.providers = {"aws": {}}
    oracle.round_trip(oracle.create("aws", master_key(aws_stand)))
    assert {"token", "role", "credentials"} <= aws_metadata_stand.counts().keys()
    connection = http.client.HTTPConnection("127.0.0.1", aws_metadata_stand.port, timeout=5)
    for method, headers, status in (("GET", {}, 401), ("GET", {"X-aws-ec2-metadata-token": "wrong"}, 401), ("POST", {}, 405)):
        connection.request(method, "/latest/meta-data/iam/security-credentials/", headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    for seconds, status in (("0", 400), ("21601", 400), ("21600", 200)):
        connection.request("PUT", "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": seconds, "Content-Length": "0"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def isolate_sdk(monkeypatch, directory):
    """The SDK looks at environment and files of whoever runs the tests; and the driver caches what it found."""
    import pymongo_auth_aws.auth
    pymongo_auth_aws.auth.set_cached_credentials(None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(directory / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def assume(stand, certificates, token, role=None):
    client = boto3.client("sts", region_name="eu-west-1", endpoint_url=stand.url, verify=str(certificates.ca_file),
                          config=Config(signature_version=UNSIGNED, retries={"max_attempts": 1}))
    return client.assume_role_with_web_identity(RoleArn=role or stand.role_arn, RoleSessionName="fieldgate", WebIdentityToken=token)


def test_a_web_identity_becomes_a_session(aws_stand, aws_sts_stand, oracle, certificates):
    session = assume(aws_sts_stand, certificates, aws_sts_stand.web_identity_token())["Credentials"]
    oracle.providers = {"aws": {"accessKeyId": session["AccessKeyId"], "secretAccessKey": session["SecretAccessKey"],
                                "sessionToken": session["SessionToken"]}}
    oracle.round_trip(oracle.create("aws", master_key(aws_stand)))
    assert session["Expiration"] > datetime.datetime.now(datetime.timezone.utc)


def test_wrong_web_identities_are_refused(aws_sts_stand, certificates):
    make = aws_sts_stand.web_identity_token
    for token, role, code in ((make(key=jwt.new_key()), None, "InvalidIdentityToken"), (make(aud=["elsewhere"]), None, "InvalidIdentityToken"),
                              (make(iat=1, exp=2), None, "ExpiredTokenException"), (make(sub="another"), None, "AccessDenied"),
                              (make(), "arn:aws:iam::123456789012:role/another", "AccessDenied"), ("not.a.token", None, "InvalidIdentityToken")):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            assume(aws_sts_stand, certificates, token, role)
        assert refused.value.response["Error"]["Code"] == code
