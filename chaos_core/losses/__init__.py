"""What training minimises, one term a file."""

from chaos_core.losses.mse import mse

__all__ = ["mse"]
