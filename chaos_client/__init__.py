"""What users import and type: the HTTP client, the embedded service and the demo."""

from chaos_client.client import Client, Problem

__all__ = ["Client", "Problem"]
