"""Every way in which fieldgate logs in to a key manager, by the name of the provider that uses it."""

from . import aws, azure, gcp, own_servers
from .bench import Bench
from .way import WAYS, Kit

__all__ = ["WAYS", "Bench", "Kit", "aws", "azure", "gcp", "own_servers"]
