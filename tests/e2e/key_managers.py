"""A driver's view of each key manager's stand-in: the settings that fieldgate needs, and how a driver makes a key with it."""

import base64
import datetime
import http.client
import json
import os
import ssl
import uuid

from bson import Binary
from kms import jwt
from kms.oracle import Oracle

PROVIDERS = ["aws", "azure", "gcp", "kmip", "kmip delegated", "vault"]


class Setup:
    """One provider: its stand-in, fieldgate's settings, and how a driver makes a key with it."""

    def __init__(self, request, name):
        self.name = name.split()[0]
        self.certificates = request.getfixturevalue("certificates")
        self.stand = request.getfixturevalue(f"{self.name}_stand")
        tls = {"ca_file": str(self.certificates.ca_file)}
        self.driver_tls = {"tlsCAFile": str(self.certificates.ca_file)}
        hosts = [self.stand.address]
        if self.name == "aws":
            self.credentials = {"accessKeyId": self.stand.access_key_id, "secretAccessKey": self.stand.secret_access_key}
            self.settings = {"access_key_id": self.stand.access_key_id, "secret_access_key": self.stand.secret_access_key, "hosts": hosts}
            self.master_key = {"region": self.stand.region, "key": self.stand.key, "endpoint": self.stand.address}
        elif self.name == "azure":
            login = request.getfixturevalue("azure_login_stand")
            self.credentials = {"tenantId": login.tenant_id, "clientId": login.client_id, "clientSecret": login.client_secret,
                                "identityPlatformEndpoint": login.address}
            self.settings = {"tenant_id": login.tenant_id, "client_id": login.client_id, "client_secret": login.client_secret,
                             "identity_platform_endpoint": login.address, "hosts": hosts}
            self.master_key = {"keyVaultEndpoint": self.stand.address, "keyName": self.stand.key_name}
        elif self.name == "gcp":
            login = request.getfixturevalue("gcp_token_stand")
            private_key = jwt.pkcs8_der(login.private_key)
            self.credentials = {"email": login.email, "privateKey": private_key, "endpoint": login.address}
            self.settings = {"email": login.email, "private_key": base64.b64encode(private_key).decode(), "endpoint": login.address, "hosts": hosts}
            self.master_key = {**self.stand.key_parts, "endpoint": self.stand.address}
        elif self.name == "kmip":
            self.credentials = {"endpoint": self.stand.address}
            self.driver_tls["tlsCertificateKeyFile"] = str(self.certificates.client)
            tls["certificate_key_file"] = str(self.certificates.client)
            self.settings = {"endpoint": self.stand.address}
            self.master_key = {"delegated": True} if "delegated" in name else {}
        else:
            self.settings = {"address": self.stand.url, "token": self.stand.token}
        self.settings["tls"] = tls

    def make_key(self, client, namespace):
        """By a driver with libmongocrypt; Vault has none and is asked directly."""
        if self.name != "vault":
            oracle = Oracle(client, {self.name: self.credentials}, {self.name: self.driver_tls})
            oracle.vault = client.get_database(namespace.split(".")[0])[namespace.split(".", 1)[1]]
            return oracle.create(self.name, self.master_key, key_alt_names=["clinic"])
        context = ssl.create_default_context(cafile=str(self.certificates.ca_file))
        connection = http.client.HTTPSConnection("127.0.0.1", self.stand.port, context=context, timeout=10)
        connection.request("POST", f"/v1/transit/encrypt/{self.stand.key}", json.dumps({"plaintext": base64.b64encode(os.urandom(96)).decode()}),
                           {"X-Vault-Token": self.stand.token})
        wrapped = json.loads(connection.getresponse().read())["data"]["ciphertext"].encode()
        connection.close()
        now = datetime.datetime.now(datetime.timezone.utc)
        key_id = Binary.from_uuid(uuid.uuid4())
        client.get_database(namespace.split(".")[0])[namespace.split(".", 1)[1]].insert_one(
            {"_id": key_id, "keyAltNames": ["clinic"], "keyMaterial": wrapped, "creationDate": now, "updateDate": now, "status": 0,
             "masterKey": {"provider": "vault", "keyName": self.stand.key}})
        return key_id
