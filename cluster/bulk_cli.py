"""`facefleet bulk`, with a service of its own where one is asked for."""

from app.bulk.commands import bulk_commands
from cluster.bulk_service import bulk_service

bulk_app = bulk_commands(bulk_service)
