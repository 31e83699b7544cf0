"""The public keys with which an issuer's tokens are verified, from a JWKS document or a PEM file."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, TypeAlias

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

_RSA = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
_OF_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

# Bits of the smallest RSA key.
_LEAST_BITS = 2048

# Keys of a document. Of keys without an id each may have to be tried, in a tenth of a millisecond.
_MOST_KEYS, _MOST_WITHOUT_ID = 100, 4

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class SigningKey:
    """A public key with the algorithms that it may be used for. id: None fits a token with any `kid`."""

    key: PublicKey
    id: str | None
    algorithms: frozenset[str]


class SigningKeys:
    """The keys of one document. A document that has changed makes a new object."""

    def __init__(self, keys: tuple[SigningKey, ...] = ()) -> None:
        self._keys = keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, algorithm: str, key_id: str | None) -> list[PublicKey]:
        """Return the keys that may have signed a token. The algorithm decides about the type of the key."""
        fitting = [key for key in self._keys if algorithm in key.algorithms]
        found = [key.key for key in fitting if key_id is None or key.id is None or key.id == key_id]
        return found if len(found) <= _MOST_WITHOUT_ID else []


def parse_file(content: bytes) -> SigningKeys:
    """Return the keys of a JWKS or PEM file. Raises ValueError."""
    if content.lstrip().startswith(b"{"):
        return parse_jwks(orjson.loads(content))
    return _checked([_pem_key(block[0], block[1]) for block in _PEM.finditer(content)], "PEM")


def parse_jwks(document: Any) -> SigningKeys:
    """Return the keys of a JWKS document, without those that cannot verify a token. Raises ValueError."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
        raise ValueError(f"expected a JWKS document with at most {_MOST_KEYS} keys")
    return _checked([key for key in map(_jwk, keys) if key and key.algorithms], "JWKS")


def _checked(keys: list[SigningKey], form: str) -> SigningKeys:
    if not keys:
        raise ValueError(f"no public key for signatures in the {form} document")
    if sum(key.id is None for key in keys) > _MOST_WITHOUT_ID:
        raise ValueError(f"expected at most {_MOST_WITHOUT_ID} keys without an id in the {form} document")
    return SigningKeys(tuple(keys))


def _jwk(document: Any) -> SigningKey | None:
    """Return the key of a JWK; None for one of another use or kind, such as a key for encryption."""
    try:
        key, key_id = jwt.PyJWK(document).key, document.get("kid")
    except Exception:  # PyJWT and cryptography raise many kinds for an odd key
        return None
    if document.get("use", "sig") != "sig" or not isinstance(key_id, str | None):
        return None
    algorithms, given = _algorithms(key), document.get("alg")
    return SigningKey(key, key_id, frozenset(name for name in algorithms if given in (None, name)))


def _pem_key(block: bytes, kind: bytes) -> SigningKey:
    if kind == b"CERTIFICATE":
        key: Any = load_pem_x509_certificate(block).public_key()
    elif kind.endswith(b"PUBLIC KEY"):
        key = load_pem_public_key(block)
    else:
        raise ValueError(f"expected public keys or certificates, got a {kind.decode().lower()}")
    algorithms = _algorithms(key)
    if not algorithms:
        raise ValueError("expected an RSA key of 2048 bits or more, an EC key or an Ed25519 key")
    return SigningKey(key, None, algorithms)


def _algorithms(key: object) -> frozenset[str]:
    """Return the algorithms of a key, none for a private or a weak one."""
    if isinstance(key, RSAPublicKey):
        return _RSA if key.key_size >= _LEAST_BITS else frozenset()
    if isinstance(key, EllipticCurvePublicKey):
        return frozenset({_OF_CURVE[key.curve.name]} if key.curve.name in _OF_CURVE else ())
    return frozenset({"EdDSA"} if isinstance(key, Ed25519PublicKey | Ed448PublicKey) else ())
