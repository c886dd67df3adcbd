"""A driver with libmongocrypt in front of a key vault: makes, uses and rewraps data keys with a provider."""

import secrets

import bson
import pymongocrypt.synchronous.credentials
from pymongo.encryption import Algorithm, ClientEncryption


class Oracle:
    def __init__(self, client, providers, tls_options=None, **options):
        self.vault = client[f"oracle_{secrets.token_hex(4)}"].keys
        self.client, self.providers, self.tls_options, self.options = client, providers, tls_options, options

    def encryption(self, **providers):
        """A new ClientEncryption: it has no key in its cache."""
        return ClientEncryption({**self.providers, **providers}, self.vault.full_name, self.client, bson.CodecOptions(),
                                kms_tls_options=self.tls_options, **self.options)

    def create(self, provider, master_key=None, **options):
        with self.encryption() as encryption:
            return encryption.create_data_key(provider, master_key, **options)

    def round_trip(self, key_id):
        """Encrypts with one client and decrypts with another, so that the key is unwrapped twice."""
        with self.encryption() as encryption:
            secret = encryption.encrypt("canary-oracle", Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Random, key_id=key_id)
        with self.encryption() as encryption:
            assert encryption.decrypt(secret) == "canary-oracle"
        return secret

    def decrypt(self, secret):
        with self.encryption() as encryption:
            return encryption.decrypt(secret)

    def rewrap(self, key_id, provider=None, master_key=None):
        with self.encryption() as encryption:
            result = encryption.rewrap_many_data_key({"_id": key_id}, provider, master_key)
        assert result.bulk_write_result.modified_count == 1
        return self.document(key_id)

    def document(self, key_id):
        return self.vault.find_one({"_id": key_id})


def on_demand(monkeypatch, provider, token):
    """Lets the driver, with `{provider: {}}`, find this access token instead of asking the machine's metadata service."""
    monkeypatch.setattr(pymongocrypt.synchronous.credentials, f"_get_{provider}_credentials", lambda: {"accessToken": token})
    return {provider: {}}
